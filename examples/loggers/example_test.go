package loggers_test

import (
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"github.com/rs/zerolog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/opsmantik/sallyport/scrub"
)

func scrubber() *scrub.Scrubber {
	s, err := scrub.New(scrub.Config{Preset: scrub.Logs})
	if err != nil {
		log.Fatal(err)
	}
	return s
}

func Example_zap() {
	config := zap.NewProductionEncoderConfig()
	config.TimeKey = ""
	sink := zapcore.AddSync(scrubber().NewLineWriter(os.Stdout))
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(config), sink, zap.InfoLevel))
	logger.Info("paid", zap.String("by", "ann@example.com"), zap.Int64("card", 4929718123456789),
		zap.String("api_key", "Zx81kQp0Lm27"))
	// Output: {"level":"info","msg":"paid","by":"[email]","card":"[card]","api_key":"[secret]"}
}

func Example_zerolog() {
	logger := zerolog.New(scrubber().NewLineWriter(os.Stdout))
	logger.Info().Str("by", "ann@example.com").Int64("card", 4929718123456789).
		Str("api_key", "Zx81kQp0Lm27").Msg("paid")
	// Output: {"level":"info","by":"[email]","card":"[card]","api_key":"[secret]","message":"paid"}
}

func Example_logr() {
	plain := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
	logger := logr.FromSlogHandler(scrubber().Handler(plain))
	logger.Info("paid", "by", "ann@example.com", "api_key", "Zx81kQp0Lm27")
	// Output: level=INFO msg=paid by=[email] api_key=[secret]
}

func Example_log() {
	logger := log.New(scrubber().NewLineWriter(os.Stdout), "", 0)
	logger.Print("paid by ", "ann@example.com")
	fmt.Println("done")
	// Output:
	// paid by [email]
	// done
}
