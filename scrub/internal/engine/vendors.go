package engine

import "strings"

// vendor is a token format that names its issuer. After the prefix come at
// least min characters of body; the whole run of them is the token. max, if
// set, refuses longer runs. A loose prefix is a word of its own language too,
// so it needs a boundary before it and a digit after it. Some formats carry
// their mark inside: then back characters of the set before stand in front.
type vendor struct {
	prefix string
	body   *byteSet
	min    int
	max    int
	loose  bool
	before *byteSet
	back   int
}

var (
	base32Upper = bytesOf(upperChars + "234567")
	upperDigit  = bytesOf(upperChars + digitChars)
	dotted      = wordChar.or(bytesOf("."))
	dollarWord  = wordChar.or(bytesOf("$"))
	hexDash     = hexDigit.or(bytesOf("-"))
	hexPath     = hexDigit.or(bytesOf("/:"))
	azureChar   = wordChar.or(bytesOf("~."))
	hookChar    = wordChar.or(bytesOf("/@"))
	discordChar = wordChar.or(bytesOf("."))
	sqlText     = base64Char.or(bytesOf("!#$%*@.:~"))
	base64Char  = alnum.or(bytesOf("+/=_-"))
)

// vendors follows the formats that the issuers document for secret scanning.
var vendors = [...]vendor{
	{"AKIA", &base32Upper, 16, 16, false, nil, 0}, // Amazon Web Services
	{"ASIA", &base32Upper, 16, 16, false, nil, 0},
	{"ABIA", &base32Upper, 16, 16, false, nil, 0},
	{"ACCA", &base32Upper, 16, 16, false, nil, 0},
	{"AROA", &base32Upper, 16, 16, false, nil, 0},
	{"AIDA", &base32Upper, 16, 16, false, nil, 0},
	{"LTAI", &alnum, 12, 24, true, nil, 0}, // Alibaba Cloud
	{"AKID", &alnum, 32, 40, true, nil, 0}, // Tencent Cloud
	{"ghp_", &alnum, 20, 0, false, nil, 0}, // GitHub
	{"gho_", &alnum, 20, 0, false, nil, 0},
	{"ghu_", &alnum, 20, 0, false, nil, 0},
	{"ghs_", &dotted, 20, 0, false, nil, 0},
	{"ghr_", &alnum, 20, 0, false, nil, 0},
	{"github_pat_", &wordChar, 20, 0, false, nil, 0},
	{"glpat-", &dotted, 16, 0, false, nil, 0}, // GitLab
	{"glptt-", &wordChar, 16, 0, false, nil, 0},
	{"gldt-", &wordChar, 16, 0, false, nil, 0},
	{"glrt-", &dotted, 16, 0, false, nil, 0},
	{"glrtr-", &wordChar, 16, 0, false, nil, 0},
	{"glft-", &wordChar, 16, 0, false, nil, 0},
	{"glsoat-", &wordChar, 16, 0, false, nil, 0},
	{"glcbt-", &wordChar, 16, 0, false, nil, 0},
	{"glimt-", &wordChar, 16, 0, false, nil, 0},
	{"glagent-", &wordChar, 16, 0, false, nil, 0},
	{"gloas-", &wordChar, 16, 0, false, nil, 0},
	{"glffct-", &wordChar, 16, 0, false, nil, 0},
	{"GR1348941", &wordChar, 16, 0, false, nil, 0},
	{"xoxb-", &wordChar, 10, 0, false, nil, 0}, // Slack
	{"xoxp-", &wordChar, 10, 0, false, nil, 0},
	{"xoxa-", &wordChar, 10, 0, false, nil, 0},
	{"xoxr-", &wordChar, 10, 0, false, nil, 0},
	{"xoxs-", &wordChar, 10, 0, false, nil, 0},
	{"xoxo-", &wordChar, 10, 0, false, nil, 0},
	{"xoxc-", &wordChar, 10, 0, false, nil, 0},
	{"xoxd-", &base64Char, 10, 0, false, nil, 0},
	{"xoxe-", &wordChar, 10, 0, false, nil, 0},
	{"xoxe.", &dotted, 10, 0, false, nil, 0},
	{"xapp-", &wordChar, 10, 0, false, nil, 0},
	{"xwfp-", &wordChar, 10, 0, false, nil, 0},
	{"hooks.slack.com/services/", &base64Char, 20, 0, false, nil, 0},
	{"hooks.slack.com/workflows/", &base64Char, 20, 0, false, nil, 0},
	{"sk_live_", &alnum, 10, 0, false, nil, 0}, // Stripe
	{"sk_test_", &alnum, 10, 0, false, nil, 0},
	{"pk_live_", &alnum, 10, 0, false, nil, 0},
	{"pk_test_", &alnum, 10, 0, false, nil, 0},
	{"rk_live_", &alnum, 10, 0, false, nil, 0},
	{"rk_test_", &alnum, 10, 0, false, nil, 0},
	{"whsec_", &base64Char, 16, 0, false, nil, 0},
	{"AIza", &wordChar, 35, 0, false, nil, 0}, // Google
	{"ya29.", &dotted, 20, 0, false, nil, 0},
	{"GOCSPX-", &wordChar, 20, 0, false, nil, 0},
	{"1//0", &wordChar, 30, 0, false, nil, 0},
	{"AC", &hexDigit, 32, 32, true, nil, 0}, // Twilio
	{"SK", &hexDigit, 32, 32, true, nil, 0},
	{"npm_", &alnum, 30, 0, false, nil, 0},     // npm
	{"pypi-", &wordChar, 30, 0, false, nil, 0}, // PyPI
	{"SG.", &dotted, 30, 0, false, nil, 0},     // SendGrid
	{"sbp_", &alnum, 30, 0, false, nil, 0},     // Supabase
	{"sb_secret_", &wordChar, 16, 0, false, nil, 0},
	{"sb_publishable_", &wordChar, 16, 0, false, nil, 0},
	{"sk-ant-", &wordChar, 16, 0, false, nil, 0},  // Anthropic
	{"sk-proj-", &wordChar, 20, 0, false, nil, 0}, // OpenAI
	{"sk-svcacct-", &wordChar, 20, 0, false, nil, 0},
	{"sk-admin-", &wordChar, 20, 0, false, nil, 0},
	{"sk-", &wordChar, 20, 0, true, nil, 0},
	{"sess-", &alnum, 32, 0, true, nil, 0},
	{"dop_v1_", &alnum, 32, 0, false, nil, 0}, // DigitalOcean
	{"doo_v1_", &alnum, 32, 0, false, nil, 0},
	{"dor_v1_", &alnum, 32, 0, false, nil, 0},
	{"shpat_", &alnum, 24, 0, false, nil, 0}, // Shopify
	{"shpca_", &alnum, 24, 0, false, nil, 0},
	{"shppa_", &alnum, 24, 0, false, nil, 0},
	{"shpss_", &alnum, 24, 0, false, nil, 0},
	{"sq0atp-", &wordChar, 20, 0, false, nil, 0}, // Square
	{"sq0csp-", &wordChar, 20, 0, false, nil, 0},
	{"sq0idp-", &wordChar, 20, 0, false, nil, 0},
	{"hf_", &alnum, 30, 0, false, nil, 0},      // Hugging Face
	{"r8_", &alnum, 30, 0, false, nil, 0},      // Replicate
	{"gsk_", &alnum, 30, 0, false, nil, 0},     // Groq
	{"xai-", &alnum, 40, 0, false, nil, 0},     // xAI
	{"pplx-", &alnum, 30, 0, false, nil, 0},    // Perplexity
	{"lsv2_", &wordChar, 30, 0, false, nil, 0}, // LangSmith
	{"lin_api_", &alnum, 30, 0, false, nil, 0}, // Linear
	{"ntn_", &alnum, 30, 0, false, nil, 0},     // Notion
	{"figd_", &wordChar, 30, 0, false, nil, 0}, // Figma
	{"PMAK-", &wordChar, 30, 0, false, nil, 0}, // Postman
	{"dp.pt.", &alnum, 30, 0, false, nil, 0},   // Doppler
	{"dp.st.", &dotted, 30, 0, false, nil, 0},
	{"dp.ct.", &alnum, 30, 0, false, nil, 0},
	{"hvs.", &wordChar, 24, 0, false, nil, 0}, // HashiCorp
	{"hvb.", &wordChar, 24, 0, false, nil, 0},
	{"hvr.", &wordChar, 24, 0, false, nil, 0},
	{".atlasv1.", &base64Char, 40, 0, false, &alnum, 10},
	{"FlyV1 ", &base64Char, 30, 0, false, nil, 0}, // Fly.io
	{"fo1_", &wordChar, 30, 0, false, nil, 0},
	{"glc_", &base64Char, 30, 0, false, nil, 0}, // Grafana
	{"glsa_", &wordChar, 30, 0, false, nil, 0},
	{"NRAK-", &alnum, 20, 0, false, nil, 0}, // New Relic
	{"NRJS-", &alnum, 16, 0, false, nil, 0},
	{"NRII-", &wordChar, 24, 0, false, nil, 0},
	{"sntrys_", &base64Char, 30, 0, false, nil, 0}, // Sentry
	{"sntryu_", &alnum, 30, 0, false, nil, 0},
	{"pscale_", &dotted, 30, 0, false, nil, 0},     // PlanetScale
	{"rubygems_", &alnum, 32, 0, false, nil, 0},    // RubyGems
	{"nfp_", &alnum, 30, 0, false, nil, 0},         // Netlify
	{"vcp_", &alnum, 20, 0, false, nil, 0},         // Vercel
	{"ATATT3x", &base64Char, 30, 0, false, nil, 0}, // Atlassian
	{"ATCTT3x", &base64Char, 30, 0, false, nil, 0},
	{"ATBB", &base64Char, 28, 0, true, nil, 0},
	{"AGE-SECRET-KEY-1", &upperDigit, 40, 0, false, nil, 0},
	{"dckr_pat_", &wordChar, 20, 0, false, nil, 0}, // Docker
	{"dckr_oat_", &wordChar, 20, 0, false, nil, 0},
	{"HRKU-", &wordChar, 30, 0, false, nil, 0},    // Heroku
	{"sl.", &wordChar, 60, 0, true, nil, 0},       // Dropbox
	{"dapi", &hexDigit, 32, 0, true, nil, 0},      // Databricks
	{"EZAK", &alnum, 50, 0, true, nil, 0},         // EasyPost
	{"EAA", &alnum, 60, 0, true, nil, 0},          // Meta
	{"AKCp", &alnum, 60, 0, true, nil, 0},         // JFrog
	{"xkeysib-", &wordChar, 40, 0, false, nil, 0}, // Brevo
	{"xsmtpsib-", &wordChar, 40, 0, false, nil, 0},
	{"key-", &hexDigit, 32, 32, true, nil, 0},               // Mailgun
	{"tskey-", &wordChar, 16, 0, false, nil, 0},             // Tailscale
	{"pul-", &hexDigit, 40, 40, true, nil, 0},               // Pulumi
	{"shippo_", &wordChar, 30, 0, false, nil, 0},            // Shippo
	{"FLWSECK", &wordChar, 12, 0, false, nil, 0},            // Flutterwave
	{"access-production-", &wordChar, 30, 0, false, nil, 0}, // Plaid
	{"access-sandbox-", &wordChar, 30, 0, false, nil, 0},
	{"access_token$production$", &dollarWord, 30, 0, false, nil, 0}, // PayPal
	{"ops_eyJ", &base64Char, 40, 0, false, nil, 0},                  // 1Password
	{"duffel_", &wordChar, 30, 0, false, nil, 0},                    // Duffel
	{"tfp_", &wordChar, 30, 0, false, nil, 0},                       // Typeform
	{"rdme_", &alnum, 40, 0, false, nil, 0},                         // ReadMe
	{"CFPAT-", &wordChar, 30, 0, false, nil, 0},                     // Contentful
	{"aio_", &alnum, 24, 0, false, nil, 0},                          // Adafruit
	{"pnu_", &alnum, 30, 0, false, nil, 0},                          // Prefect
	{"AQVN", &wordChar, 30, 0, true, nil, 0},                        // Yandex Cloud
	{"rpa_", &alnum, 40, 0, false, nil, 0},                          // RunPod
	{"cio_", &alnum, 24, 0, false, nil, 0},
	{"cfut_", &alnum, 30, 0, false, nil, 0}, // Cloudflare
	{"cfat_", &alnum, 30, 0, false, nil, 0},
	{"re_", &wordChar, 24, 0, true, nil, 0}, // Resend
	{"live_", &alnum, 30, 0, true, nil, 0},
	{"eyJVc2VySUQi", &base64Char, 20, 0, false, nil, 0}, // Upstash QStash
	{"sig_", &alnum, 24, 0, true, nil, 0},
	{":AA", &wordChar, 32, 0, false, &digit, 8},    // Telegram
	{"-us", &digit, 1, 2, false, &hexDigit, 32},    // Mailchimp
	{"APA91b", &wordChar, 100, 0, false, nil, 0},   // Firebase
	{"ASQg", &base64Char, 30, 0, false, &alnum, 3}, // Upstash Redis, after A and two letters
	{"AAIncD", &base64Char, 20, 0, false, &alnum, 2},
	{"ACQg", &base64Char, 30, 0, false, &alnum, 3},
	{"discord.com/api/webhooks/", &hookChar, 40, 0, false, nil, 0}, // Discord
	{"discordapp.com/api/webhooks/", &hookChar, 40, 0, false, nil, 0},
	{"webhook.office.com/webhookb2/", &hookChar, 60, 0, false, nil, 0}, // Microsoft Teams
	{"hooks.zapier.com/hooks/catch/", &hookChar, 8, 0, false, nil, 0},  // Zapier
	// The bot tokens of Discord begin with the base64 of a number.
	{"MT", &discordChar, 48, 72, true, nil, 0},
	{"Mj", &discordChar, 48, 72, true, nil, 0},
	{"Mz", &discordChar, 48, 72, true, nil, 0},
	{"ND", &discordChar, 48, 72, true, nil, 0},
	{"NT", &discordChar, 48, 72, true, nil, 0},
	{"Nj", &discordChar, 48, 72, true, nil, 0},
	{"Nz", &discordChar, 48, 72, true, nil, 0},
	{"OD", &discordChar, 48, 72, true, nil, 0},
	{"OT", &discordChar, 48, 72, true, nil, 0},
	{"Q~", &azureChar, 31, 0, false, &wordChar, 4}, // Microsoft Entra
	{"squ_", &alnum, 40, 0, false, nil, 0},         // SonarQube
	{"sqp_", &alnum, 40, 0, false, nil, 0},
	{"sqa_", &alnum, 40, 0, false, nil, 0},
	{"bkua_", &alnum, 40, 0, false, nil, 0},        // Buildkite
	{"CCIPAT_", &wordChar, 40, 0, false, nil, 0},   // CircleCI
	{"CLOJARS_", &hexDigit, 60, 0, false, nil, 0},  // Clojars
	{"v1.0-", &hexDash, 100, 0, false, nil, 0},     // Cloudflare origin CA
	{"cio", &alnum, 32, 32, true, nil, 0},          // crates.io
	{"dnkey-", &wordChar, 60, 0, false, nil, 0},    // Defined Networking
	{"dp.scim.", &alnum, 40, 0, false, nil, 0},     // Doppler
	{"dp.audit.", &alnum, 40, 0, false, nil, 0},    // Doppler
	{"dt0c01.", &dotted, 60, 0, false, nil, 0},     // Dynatrace
	{"dt0s01.", &dotted, 60, 0, false, nil, 0},     // Dynatrace
	{"dt0s16.", &dotted, 60, 0, false, nil, 0},     // Dynatrace
	{"e2b_", &hexDigit, 40, 40, true, nil, 0},      // E2B
	{"fio-u-", &wordChar, 60, 0, false, nil, 0},    // Frame.io
	{"ico-", &alnum, 32, 32, true, nil, 0},         // Infracost
	{"s-s4t2ud-", &hexDigit, 60, 0, false, nil, 0}, // 42
	{"s-s4t2af-", &hexDigit, 60, 0, false, nil, 0},
	{"napi_", &alnum, 40, 0, false, nil, 0},      // Neon
	{"oy2", &alnum, 43, 43, true, nil, 0},        // NuGet
	{"nvapi-", &wordChar, 60, 0, false, nil, 0},  // NVIDIA
	{"rzp_live_", &alnum, 14, 0, false, nil, 0},  // Razorpay
	{"rzp_test_", &alnum, 14, 0, false, nil, 0},  // Razorpay
	{"pcsk_", &wordChar, 40, 0, false, nil, 0},   // Pinecone
	{"phx_", &alnum, 40, 0, false, nil, 0},       // PostHog
	{"PMAT-", &alnum, 26, 0, false, nil, 0},      // Postman
	{"rnd_", &alnum, 28, 0, true, nil, 0},        // Render
	{"tk-us-", &wordChar, 48, 0, false, nil, 0},  // Scalingo
	{"snyk_uat.", &dotted, 60, 0, false, nil, 0}, // Snyk
	{"cmVmdGtu", &alnum, 56, 56, true, nil, 0},   // JFrog reference token
	{"tvly-", &wordChar, 24, 0, false, nil, 0},   // Tavily
	{"4b1d", &alnum, 38, 38, true, nil, 0},       // ClickHouse Cloud
	{"secret_", &alnum, 43, 43, true, nil, 0},    // Notion
	{"EAAA", &wordChar, 60, 60, true, nil, 0},    // Square
	{"vercel_blob_rw_", &wordChar, 20, 0, false, nil, 0},
	{"NRAL", &byteSet{}, 0, 0, false, &hexDigit, 36}, // New Relic
	{"sdk-", &hexDash, 36, 36, true, nil, 0},         // LaunchDarkly
	{"mob-", &hexDash, 36, 36, true, nil, 0},
	{"api-", &hexDash, 36, 36, true, nil, 0},
	{"pat", &dotted, 79, 80, true, nil, 0},             // Airtable
	{"1/12", &hexPath, 44, 0, true, nil, 0},            // Asana
	{"2/12", &hexPath, 60, 0, true, nil, 0},            // Asana
	{"IDENTIFIED BY '", &sqlText, 4, 0, false, nil, 0}, // MySQL, Oracle
	{"identified by '", &sqlText, 4, 0, false, nil, 0},
	{`response="`, &hexDigit, 32, 64, false, nil, 0}, // Digest (RFC 7616 section 3.4)
}

// vendorToken examines the prefix of v at i.
func (sc *scanner) vendorToken(v *vendor, i int) int {
	s, body := sc.src, i+len(v.prefix)
	start := i
	if v.loose && i > 0 && wordChar.has(s[i-1]) {
		return i
	}
	if v.before != nil {
		for start > 0 && i-start < maxKeyBytes && v.before.has(s[start-1]) {
			start--
		}
		if i-start < v.back {
			return i
		}
	}
	end, digits := body, 0
	for end < len(s) && end-body < 256 && v.body.has(s[end]) {
		if digit.has(s[end]) {
			digits++
		}
		end++
	}
	if v.body == &discordChar && !discordToken(s[start:end]) {
		return i
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
		return sc.found(span{start: start, end: end, det: Token})
	}
	return sc.foundRun(span{start: start, end: end, det: Token}, class)
}

// discordToken reports whether text is the number of an account, a time and
// a signature: base64 texts that begin like a number are common, such dots
// are not.
func discordToken(text string) bool {
	first := strings.IndexByte(text, '.')
	if first < 20 || first > 30 || len(text) < first+8 || text[first+7] != '.' {
		return false
	}
	return !strings.Contains(strings.TrimRight(text[first+8:], "."), ".")
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
	return sc.foundRun(span{start: i, end: end, det: Token}, swallowToken)
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
	end := keyHeader(sc.src, i-len("-----"))
	if end == 0 {
		return i
	}
	return sc.foundRun(span{start: i - len("-----"), end: end, det: Token}, swallowPEM)
}

// keyHeader returns the end of the first line of a private key at i, or 0.
func keyHeader(s string, i int) int {
	const begin = "-----BEGIN"
	if !hasAt(s, i, begin) {
		return 0
	}
	label := i + len(begin)
	end := label
	for end < len(s) && end-label < 80 && s[end] != '-' && s[end] != '\n' {
		end++
	}
	if !hasWord(s[label:end], "PRIVATE") || !hasAt(s, end, "-----") {
		return 0
	}
	return end + len("-----")
}

// holdsKey reports whether a private key starts in s[i:end].
func holdsKey(s string, i, end int) bool {
	for ; i < end; i++ {
		if s[i] == '-' && keyHeader(s, i) > 0 {
			return true
		}
	}
	return false
}

func hasWord(label, word string) bool {
	for i := range len(label) {
		if hasAt(label, i, word) {
			return true
		}
	}
	return false
}
