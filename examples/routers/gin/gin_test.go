package gin_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	sallyportgin "github.com/opsmantik/sallyport/examples/routers/gin"
	"github.com/opsmantik/sallyport/examples/routers/suite"
	"github.com/opsmantik/sallyport/tools/gatetest/adaptertest"
	"github.com/stretchr/testify/require"
)

func handler(c *gin.Context) {
	answer := adaptertest.Handle(c.Request)
	if answer.Failed {
		_ = c.AbortWithError(answer.Status, errors.New("failed"))
		return
	}
	c.String(answer.Status, answer.Body)
}

func engine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	return gin.New()
}

func mount(gate func(http.Handler) http.Handler) http.Handler {
	r := engine()
	r.POST("/adapter/:site", sallyportgin.Middleware(gate), handler)
	return r
}

func TestAdapter(t *testing.T) { adaptertest.Run(t, mount) }

func TestEveryGate(t *testing.T) { suite.Run(t, mount) }

// TestNaiveAdapterRunsAfterRefusals: what is found when one searches for "gin
// net/http middleware".
func TestNaiveAdapterRunsAfterRefusals(t *testing.T) {
	problems := adaptertest.Check(func(gate func(http.Handler) http.Handler) http.Handler {
		r := engine()
		r.POST("/adapter/:site", func(c *gin.Context) {
			gate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				c.Request = r
				c.Next()
			})).ServeHTTP(c.Writer, c.Request)
		}, handler)
		return r
	})
	require.NotEmpty(t, problems)
	require.Contains(t, problems, "error: the cookie that the gate set when the header left is lost")
}
