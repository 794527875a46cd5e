package pages

import (
	"net/http"
	"strconv"
	"time"
)

type alertRow struct {
	ID        string    `json:"id"`
	Rule      string    `json:"rule"`
	Key       string    `json:"key"`
	Tier      string    `json:"tier"`
	Since     time.Time `json:"since"`
	Ended     time.Time `json:"ended"`
	Seen      float64   `json:"seen"`
	Usual     float64   `json:"usual"`
	Condition string    `json:"condition"`
	Hint      string    `json:"hint"`
	Decisions []struct {
		Action string    `json:"action"`
		Reason string    `json:"reason"`
		Time   time.Time `json:"time"`
	} `json:"decisions"`
}

type towerView struct {
	Alerts  []alertRow `json:"alerts"`
	Beat    time.Time  `json:"beat"`
	Dropped int64      `json:"dropped"`
}

func (p *Pages) watchtower(w http.ResponseWriter, r *http.Request) {
	reader, v, ok := p.at(w, r)
	if !ok {
		return
	}
	var list towerView
	if !p.read(w, r, ofSite("/watchtower/alerts", v.Site.ID), &list) {
		return
	}
	v.Rows = list
	p.render(w, r, http.StatusOK, view{Page: "watchtower", Title: "Watchtower", Me: reader, Data: v})
}

func (p *Pages) decide(w http.ResponseWriter, r *http.Request) {
	form, ok := p.form(w, r)
	if !ok {
		return
	}
	site := form.Get("site_id")
	p.do(w, r, http.MethodPost, ofSite("/watchtower/alerts", site), map[string]any{
		"alert": form.Get("alert"), "action": form.Get("action"), "reason": form.Get("reason"),
		"hours": number(form.Get("hours")),
	}, ofSite("/watchtower", site))
}

// number reads what was typed: nothing is 0, and what is no number is -1, which the API
// refuses.
func number(text string) int {
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}
