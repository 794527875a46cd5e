package scrub_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// The labelled corpus: templates and value generators under a fixed seed. It
// was written and frozen (corpusHash) before the detectors were tuned, so the
// figures of TestQuality are not those of a corpus that was fitted to them.
// No token in it is real; each is assembled from random characters.

const corpusSeed = 20260102

// sample is one text. A positive sample holds one value; a negative holds
// none and must come through untouched.
type sample struct {
	kind  string // "card", "email", ... or "negative/<family>"
	text  string
	value string // the bytes of text that must not survive
}

type gen struct{ *rand.Rand }

func newGen(seed uint64) gen {
	return gen{rand.New(rand.NewPCG(seed, 1))} // #nosec G404 -- reproducible test data
}

func (g gen) pick(all ...string) string { return all[g.IntN(len(all))] }

func (g gen) chars(set string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = set[g.IntN(len(set))]
	}
	return string(b)
}

const (
	digitSet = "0123456789"
	lowerSet = "abcdefghijklmnopqrstuvwxyz"
	upperSet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alnumSet = digitSet + lowerSet + upperSet
	hexSet   = "0123456789abcdef"
	urlSet   = alnumSet + "-_"
	b32Set   = upperSet + "234567"
)

// corpus returns every sample of the frozen corpus, always the same ones.
func corpus() []sample { return corpusOf(corpusSeed) }

// corpusOf returns a corpus of the same kinds from another seed.
func corpusOf(seed uint64) []sample {
	g := newGen(seed)
	var all []sample
	for _, k := range kinds() {
		for range k.n {
			value := k.make(g)
			t := g.pick(append(append([]string{}, sentences...), k.templates...)...)
			if k.own {
				t = g.pick(k.templates...)
			}
			enc := value
			switch {
			case strings.Contains(t, "{url}"):
				enc = percentEncode(value)
				t = strings.ReplaceAll(t, "{url}", "{}")
			case strings.Contains(t, "{json}"):
				enc = strings.ReplaceAll(value, `"`, `\"`)
				enc = strings.ReplaceAll(enc, "\n", `\n`)
				t = strings.ReplaceAll(t, "{json}", "{}")
			case strings.Contains(t, "{esc}"):
				enc = strings.ReplaceAll(value, "@", `\u0040`)
				enc = strings.ReplaceAll(enc, `"`, `\"`)
				enc = strings.ReplaceAll(enc, "\n", `\n`)
				t = strings.ReplaceAll(t, "{esc}", "{}")
			}
			all = append(all, sample{k.name, strings.ReplaceAll(t, "{}", enc), enc})
		}
	}
	for _, f := range negatives() {
		for range f.n {
			all = append(all, sample{"negative/" + f.name, f.make(g), ""})
		}
	}
	return all
}

func corpusHash() string {
	h := sha256.New()
	for _, s := range corpus() {
		fmt.Fprintf(h, "%q %q %q\n", s.kind, s.text, s.value)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if strings.IndexByte(alnumSet+"-_.~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// survives reports whether a recognisable part of value (a window of five
// characters, or all of a shorter one) is left in out that the text around
// the value did not have.
func survives(s sample, out string) bool {
	around := strings.ReplaceAll(s.text, s.value, "\x00")
	const window = 5
	if len(s.value) <= window {
		return strings.Contains(out, s.value)
	}
	for i := 0; i+window <= len(s.value); i++ {
		part := s.value[i : i+window]
		if strings.Contains(out, part) && !strings.Contains(around, part) {
			return true
		}
	}
	return false
}

// sentences take any value: logs, data formats, code, SQL, dumps and prose
// in twelve languages.
var sentences = []string{
	`{}`,
	`value: {}`,
	`({}), and then`,
	`"{json}"`,
	`<{}>`,
	`[{}]`,
	`2026-03-04T05:06:07Z ERROR handler failed for {} after 3 attempts`,
	`level=warn msg="could not process {json}" attempt=2 took=15ms`,
	`[pid 4711] WARN  worker: rejected {}: timeout`,
	`{"level":"info","msg":"got {json}","n":17}`,
	`{"event":{"payload":{"note":"{json}"}},"ok":true}`,
	`{"body":"{\"inner\":\"{esc}\"}"}`,
	`{"m":"{esc}"}`,
	`["a","{json}",null]`,
	`https://shop.test/cb?x={url}&y=2`,
	`GET /search?q={url} HTTP/1.1`,
	`POST /submit body: a=1&b={url}&c=3`,
	`panic: unexpected value {} [recovered]
goroutine 17 [running]:
main.handle(0xc0000b6000)
	/app/main.go:42 +0x1d`,
	`Traceback (most recent call last):
  File "app.py", line 10, in <module>
ValueError: bad input {}`,
	`java.lang.IllegalArgumentException: {}
	at com.acme.App.main(App.java:17)`,
	`SELECT * FROM t WHERE v = '{}' LIMIT 1`,
	`INSERT INTO notes (id, body) VALUES (17, 'seen {} today')`,
	`ERROR: duplicate key value violates unique constraint (v)=({}) already exists`,
	`{ID:17 Name:bob Note:{} Active:true}`,
	`main.T{ID:17, Note:"{json}", Active:true}`,
	`map[id:17 note:{}]`,
	`&{17 {} true}`,
	`<td>{}</td>`,
	`<user note="{json}"/>`,
	`17,bob,{},true`,
	`17;bob;{};true`,
	"17\t{}\ttrue",
	`note = {} # comment`,
	`- {}`,
	`Please send it to {}, thanks.`,
	`Bitte senden Sie es an {}, danke.`,
	`Veuillez l'envoyer à {}, merci.`,
	`Por favor, envíelo a {}, gracias.`,
	`Lütfen {} adresine gönderin, teşekkürler.`,
	`Пожалуйста, отправьте на {}, спасибо.`,
	`请发送到 {} ，谢谢。`,
	`{} に送ってください。`,
	`{} 로 보내주세요.`,
	`يرجى الإرسال إلى {} شكرا`,
	`कृपया {} पर भेजें, धन्यवाद।`,
	`Wyślij to na {}, dziękuję.`,
	`Ze, stuur het naar {} alstublieft.`,
	`Envie para {}, obrigado.`,
}
