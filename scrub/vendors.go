package scrub

// vendor is a token format that names its issuer. After the prefix come at
// least min characters of body; the whole run of them is the token. max, if
// set, refuses longer runs. A loose prefix is a word of its own language too,
// so it needs a boundary before it and a digit after it.
type vendor struct {
	prefix string
	body   *byteSet
	min    int
	max    int
	loose  bool
}

var (
	base32Upper = bytesOf(upperChars + "234567")
	upperDigit  = bytesOf(upperChars + digitChars)
	dotted      = wordChar.or(bytesOf("."))
	base64Char  = alnum.or(bytesOf("+/=_-"))
)

// vendors follows the formats that the issuers document for secret scanning.
var vendors = [...]vendor{
	{"AKIA", &base32Upper, 16, 16, false}, // Amazon Web Services
	{"ASIA", &base32Upper, 16, 16, false},
	{"ABIA", &base32Upper, 16, 16, false},
	{"ACCA", &base32Upper, 16, 16, false},
	{"AROA", &base32Upper, 16, 16, false},
	{"AIDA", &base32Upper, 16, 16, false},
	{"LTAI", &alnum, 12, 24, true}, // Alibaba Cloud
	{"AKID", &alnum, 32, 40, true}, // Tencent Cloud
	{"ghp_", &alnum, 20, 0, false}, // GitHub
	{"gho_", &alnum, 20, 0, false},
	{"ghu_", &alnum, 20, 0, false},
	{"ghs_", &dotted, 20, 0, false},
	{"ghr_", &alnum, 20, 0, false},
	{"github_pat_", &wordChar, 20, 0, false},
	{"glpat-", &dotted, 16, 0, false}, // GitLab
	{"glptt-", &wordChar, 16, 0, false},
	{"gldt-", &wordChar, 16, 0, false},
	{"glrt-", &dotted, 16, 0, false},
	{"glrtr-", &wordChar, 16, 0, false},
	{"glft-", &wordChar, 16, 0, false},
	{"glsoat-", &wordChar, 16, 0, false},
	{"glcbt-", &wordChar, 16, 0, false},
	{"glimt-", &wordChar, 16, 0, false},
	{"glagent-", &wordChar, 16, 0, false},
	{"gloas-", &wordChar, 16, 0, false},
	{"glffct-", &wordChar, 16, 0, false},
	{"GR1348941", &wordChar, 16, 0, false},
	{"xoxb-", &wordChar, 10, 0, false}, // Slack
	{"xoxp-", &wordChar, 10, 0, false},
	{"xoxa-", &wordChar, 10, 0, false},
	{"xoxr-", &wordChar, 10, 0, false},
	{"xoxs-", &wordChar, 10, 0, false},
	{"xoxo-", &wordChar, 10, 0, false},
	{"xoxc-", &wordChar, 10, 0, false},
	{"xoxd-", &base64Char, 10, 0, false},
	{"xoxe-", &wordChar, 10, 0, false},
	{"xoxe.", &dotted, 10, 0, false},
	{"xapp-", &wordChar, 10, 0, false},
	{"xwfp-", &wordChar, 10, 0, false},
	{"hooks.slack.com/services/", &base64Char, 20, 0, false},
	{"hooks.slack.com/workflows/", &base64Char, 20, 0, false},
	{"sk_live_", &alnum, 10, 0, false}, // Stripe
	{"sk_test_", &alnum, 10, 0, false},
	{"rk_live_", &alnum, 10, 0, false},
	{"rk_test_", &alnum, 10, 0, false},
	{"whsec_", &base64Char, 16, 0, false},
	{"AIza", &wordChar, 35, 0, false}, // Google
	{"ya29.", &dotted, 20, 0, false},
	{"GOCSPX-", &wordChar, 20, 0, false},
	{"1//0", &wordChar, 30, 0, false},
	{"AC", &hexDigit, 32, 32, true}, // Twilio
	{"SK", &hexDigit, 32, 32, true},
	{"npm_", &alnum, 30, 0, false},     // npm
	{"pypi-", &wordChar, 30, 0, false}, // PyPI
	{"SG.", &dotted, 30, 0, false},     // SendGrid
	{"sbp_", &alnum, 30, 0, false},     // Supabase
	{"sb_secret_", &wordChar, 16, 0, false},
	{"sk-ant-", &wordChar, 16, 0, false},  // Anthropic
	{"sk-proj-", &wordChar, 20, 0, false}, // OpenAI
	{"sk-svcacct-", &wordChar, 20, 0, false},
	{"sk-admin-", &wordChar, 20, 0, false},
	{"sk-", &wordChar, 20, 0, true},
	{"sess-", &alnum, 32, 0, true},
	{"dop_v1_", &alnum, 32, 0, false}, // DigitalOcean
	{"doo_v1_", &alnum, 32, 0, false},
	{"dor_v1_", &alnum, 32, 0, false},
	{"shpat_", &alnum, 24, 0, false}, // Shopify
	{"shpca_", &alnum, 24, 0, false},
	{"shppa_", &alnum, 24, 0, false},
	{"shpss_", &alnum, 24, 0, false},
	{"sq0atp-", &wordChar, 20, 0, false}, // Square
	{"sq0csp-", &wordChar, 20, 0, false},
	{"sq0idp-", &wordChar, 20, 0, false},
	{"hf_", &alnum, 30, 0, false},      // Hugging Face
	{"r8_", &alnum, 30, 0, false},      // Replicate
	{"gsk_", &alnum, 30, 0, false},     // Groq
	{"xai-", &alnum, 40, 0, false},     // xAI
	{"pplx-", &alnum, 30, 0, false},    // Perplexity
	{"lsv2_", &wordChar, 30, 0, false}, // LangSmith
	{"lin_api_", &alnum, 30, 0, false}, // Linear
	{"ntn_", &alnum, 30, 0, false},     // Notion
	{"figd_", &wordChar, 30, 0, false}, // Figma
	{"PMAK-", &wordChar, 30, 0, false}, // Postman
	{"dp.pt.", &alnum, 30, 0, false},   // Doppler
	{"dp.st.", &dotted, 30, 0, false},
	{"dp.ct.", &alnum, 30, 0, false},
	{"hvs.", &wordChar, 24, 0, false}, // HashiCorp
	{"hvb.", &wordChar, 24, 0, false},
	{"hvr.", &wordChar, 24, 0, false},
	{".atlasv1.", &base64Char, 40, 0, false},
	{"FlyV1 ", &base64Char, 30, 0, false}, // Fly.io
	{"fo1_", &wordChar, 30, 0, false},
	{"glc_", &base64Char, 30, 0, false}, // Grafana
	{"glsa_", &wordChar, 30, 0, false},
	{"NRAK-", &alnum, 20, 0, false}, // New Relic
	{"NRJS-", &alnum, 16, 0, false},
	{"NRII-", &wordChar, 24, 0, false},
	{"sntrys_", &base64Char, 30, 0, false}, // Sentry
	{"sntryu_", &alnum, 30, 0, false},
	{"pscale_", &dotted, 30, 0, false},     // PlanetScale
	{"rubygems_", &alnum, 32, 0, false},    // RubyGems
	{"nfp_", &alnum, 30, 0, false},         // Netlify
	{"vcp_", &alnum, 20, 0, false},         // Vercel
	{"ATATT3x", &base64Char, 30, 0, false}, // Atlassian
	{"ATCTT3x", &base64Char, 30, 0, false},
	{"ATBB", &base64Char, 28, 0, true},
	{"AGE-SECRET-KEY-1", &upperDigit, 40, 0, false},
	{"dckr_pat_", &wordChar, 20, 0, false}, // Docker
	{"dckr_oat_", &wordChar, 20, 0, false},
	{"HRKU-", &wordChar, 30, 0, false},    // Heroku
	{"sl.", &wordChar, 60, 0, true},       // Dropbox
	{"dapi", &hexDigit, 32, 0, true},      // Databricks
	{"EZAK", &alnum, 50, 0, true},         // EasyPost
	{"EAA", &alnum, 60, 0, true},          // Meta
	{"AKCp", &alnum, 60, 0, true},         // JFrog
	{"xkeysib-", &wordChar, 40, 0, false}, // Brevo
	{"xsmtpsib-", &wordChar, 40, 0, false},
	{"key-", &hexDigit, 32, 32, true},               // Mailgun
	{"tskey-", &wordChar, 16, 0, false},             // Tailscale
	{"pul-", &hexDigit, 40, 40, true},               // Pulumi
	{"shippo_", &wordChar, 30, 0, false},            // Shippo
	{"FLWSECK", &wordChar, 12, 0, false},            // Flutterwave
	{"access-production-", &wordChar, 30, 0, false}, // Plaid
	{"access-sandbox-", &wordChar, 30, 0, false},
	{"access_token$production$", &wordChar, 30, 0, false}, // PayPal
	{"ops_eyJ", &base64Char, 40, 0, false},                // 1Password
	{"duffel_", &wordChar, 30, 0, false},                  // Duffel
	{"tfp_", &wordChar, 30, 0, false},                     // Typeform
	{"rdme_", &alnum, 40, 0, false},                       // ReadMe
	{"CFPAT-", &wordChar, 30, 0, false},                   // Contentful
	{"aio_", &alnum, 24, 0, false},                        // Adafruit
	{"pnu_", &alnum, 30, 0, false},                        // Prefect
	{"AQVN", &wordChar, 30, 0, true},                      // Yandex Cloud
	{"rpa_", &alnum, 40, 0, false},                        // RunPod
	{"cio_", &alnum, 24, 0, false},
	{"cfut_", &alnum, 30, 0, false}, // Cloudflare
	{"cfat_", &alnum, 30, 0, false},
	{"re_", &wordChar, 24, 0, true}, // Resend
	{"live_", &alnum, 30, 0, true},
	{"eyJVc2VySUQi", &base64Char, 20, 0, false}, // Upstash QStash
	{"sig_", &alnum, 24, 0, true},
	{"ASQg", &base64Char, 30, 0, true}, // Upstash Redis, after A and two letters
	{"AAIncD", &base64Char, 20, 0, true},
	{"ACQg", &base64Char, 30, 0, true},
}

// vendorToken examines the prefix of v at i.
func (sc *scanner) vendorToken(v *vendor, i int) int {
	s, body := sc.src, i+len(v.prefix)
	start := i
	if v.loose {
		if i > 0 && wordChar.has(s[i-1]) {
			if !upstash(v.prefix) {
				return i
			}
			for start > 0 && i-start < 5 && alnum.has(s[start-1]) {
				start--
			}
			if i-start > 4 || s[start] != 'A' {
				return i
			}
		}
	}
	end, digits := body, 0
	for end < len(s) && end-body < 256 && v.body.has(s[end]) {
		if digit.has(s[end]) {
			digits++
		}
		end++
	}
	n := end - body
	if n < v.min || v.max > 0 && n > v.max || v.loose && digits == 0 {
		return i
	}
	class := swallowWord
	if v.body.has('.') || v.body.has('+') {
		class = swallowToken
	}
	if v.max > 0 {
		return sc.found(span{start: start, end: end, det: detToken})
	}
	return sc.foundRun(span{start: start, end: end, det: detToken}, class)
}

func upstash(prefix string) bool {
	return prefix == "ASQg" || prefix == "AAIncD" || prefix == "ACQg"
}

// jwt examines eyJ at i: the header of a JWS or JWE in compact form (RFC
// 7515 section 7.1). A lone base64 object, such as a page cursor, has no
// second part and stays.
func (sc *scanner) jwt(i int) int {
	s := sc.src
	if sc.off+i < sc.noJWT {
		return i
	}
	dot := tokenPart(s, i)
	r, w := rune(0), 0
	if dot < len(s) {
		r, w = unit(s, dot)
	}
	if dot-i < 12 || r != '.' || dot+w >= len(s) {
		sc.noJWT = sc.off + dot - (dot-i)/2
		return i
	}
	second := tokenPart(s, dot+w)
	if second-dot-w < 4 && !hasAt(s, second, ".") {
		return i
	}
	end := second
	if second < len(s) {
		if r, w := unit(s, second); r == '.' && w > 1 {
			end = tokenPart(s, second+w)
		}
	}
	return sc.foundRun(span{start: i, end: end, det: detToken}, swallowToken)
}

// tokenPart returns the end of the run of token characters at i, looking at
// most a quarter of lookahead far.
func tokenPart(s string, i int) int {
	limit := min(len(s), i+lookahead/4)
	for i < limit && wordChar.has(s[i]) {
		i++
	}
	return i
}

// pem examines BEGIN at i: a private key (RFC 7468 section 10).
func (sc *scanner) pem(i int) int {
	s, end := sc.src, i+len("BEGIN")
	if i < 5 || !hasAt(s, i-5, "-----") {
		return i
	}
	label := end
	for label < len(s) && label-end < 80 && s[label] != '-' && s[label] != '\n' {
		label++
	}
	if !hasWord(s[end:label], "PRIVATE") || !hasAt(s, label, "-----") {
		return i
	}
	return sc.foundRun(span{start: i - 5, end: label + 5, det: detToken}, swallowPEM)
}

func hasWord(label, word string) bool {
	for i := range len(label) {
		if hasAt(label, i, word) {
			return true
		}
	}
	return false
}
