package engine

// vendors follows the formats that the issuers document for secret scanning,
// and the rules of gitleaks and trufflehog that have a mark.
var vendors = [...]vendor{
	// Amazon Web Services.
	{
		marks: "AKIA ASIA ABIA ACCA AROA AIDA", body: &base32Upper, min: 16, max: 16,
		example: "AU4PCZL6HT4D",
	},
	{marks: "A3T", body: &base32Upper, min: 17, max: 17, loose: true, example: "TCBSLFPR3UPX"},
	// Amazon Bedrock.
	{marks: "ABSK", body: &base64Char, min: 100, example: "CmMCdN674VPm"},
	{marks: "bedrock-api-key-", body: &base64Char, min: 20, example: "tFehhIRz5S16"},
	// Alibaba Cloud.
	{marks: "LTAI", body: &alnum, min: 12, max: 24, loose: true, example: "6sbSble9uhXq"},
	// Tencent Cloud.
	{marks: "AKID", body: &alnum, min: 32, max: 40, loose: true, example: "2G9xrZAAXepS"},
	// GitHub.
	{marks: "ghp_ gho_ ghu_ ghr_", body: &alnum, min: 20, example: "pw6ACEWTNdd0"},
	{marks: "ghs_", body: &dotted, min: 20, example: "ugaBQ6Mppmdu"},
	{marks: "github_pat_", body: &wordChar, min: 20, example: "Y04PX6cOtmrM"},
	// GitLab.
	{marks: "glpat- glrt-", body: &dotted, min: 16, example: "wKx9v0YgYcS9"},
	{
		marks: "glptt- gldt- glrtr- glft- glsoat- glcbt- glimt- glagent- gloas- glffct-" +
			" GR1348941",
		body: &wordChar, min: 16,
		example: "mDyQk2nH1MuU",
	},
	// Slack.
	{
		marks: "xoxb- xoxp- xoxa- xoxr- xoxs- xoxo- xoxc- xoxe- xapp- xwfp-", body: &wordChar, min: 10,
		example: "AJ02RyPA2E",
	},
	{marks: "xoxd-", body: &base64Char, min: 10, example: "FAV296DuKO"},
	{marks: "xoxe.", body: &dotted, min: 10, example: "aY15QMhUxY"},
	{
		marks: "hooks.slack.com/services/ hooks.slack.com/workflows/ hooks.slack.com/triggers/",
		body:  &base64Char, min: 20,
		example: "44TRWhbQw8Kd",
	},
	// Stripe.
	{
		marks: "sk_live_ sk_test_ sk_prod_ pk_live_ pk_test_ rk_live_ rk_test_ rk_prod_ ak_live_",
		body:  &alnum, min: 10,
		example: "zKYC5JkAkJ",
	},
	{marks: "whsec_", body: &base64Char, min: 16, example: "yGX1qwRKlpGG"},
	// Stripe client secret.
	{
		marks: "_secret_", body: &alnum, min: 24, before: &wordChar, back: 12,
		example: "0CVYy71uCPLY",
	},
	// Google.
	{marks: "AIza", body: &wordChar, min: 35, example: "V9nubuDbh4IT"},
	{marks: "ya29.", body: &dotted, min: 20, example: "jNqEVQs0fzGd"},
	{marks: "GOCSPX-", body: &wordChar, min: 20, example: "jaNtEU7xvOdL"},
	{marks: "1//0", body: &wordChar, min: 30, example: "MfxM1YvSOmqF"},
	// Twilio.
	{marks: "AC", body: &hexDigit, min: 32, max: 32, loose: true, example: "46d2c43ff6c2"},
	{marks: "SK", body: &alnum, min: 32, max: 32, loose: true, example: "O9joovm4gfnv"},
	// npm.
	{marks: "npm_", body: &alnum, min: 30, example: "E0rGRV3XM4Z4"},
	// PyPI.
	{marks: "pypi-", body: &wordChar, min: 30, example: "U2htVAZDVxGm"},
	// SendGrid.
	{marks: "SG.", body: &tokenBody, min: 30, example: "5frKvHxBj3OI"},
	// Supabase.
	{marks: "sbp_", body: &alnum, min: 30, example: "d38PqaMtn5C3"},
	{marks: "sb_secret_ sb_publishable_", body: &wordChar, min: 16, example: "FxaL7kZdwgKP"},
	// Anthropic, OpenRouter.
	{marks: "sk-ant- sk-or-v1-", body: &wordChar, min: 16, example: "vWOfHc6HwgG1"},
	// OpenAI.
	{
		marks: "sk-proj- sk-svcacct- sk-admin- sk-service-", body: &wordChar, min: 20,
		example: "dN6yQVP9wx4l",
	},
	{marks: "sk-", body: &wordChar, min: 20, loose: true, example: "dB3ZQlFr3WZ1"},
	{marks: "sess-", body: &alnum, min: 32, loose: true, example: "dqYO28s0iMRZ"},
	// DigitalOcean.
	{marks: "dop_v1_ doo_v1_ dor_v1_", body: &alnum, min: 32, example: "EYpP0YYPpkFy"},
	// Shopify.
	{marks: "shpat_ shpca_ shppa_ shpss_", body: &alnum, min: 24, example: "5YV0CspAw2PK"},
	{marks: "shltm_", body: &wordChar, min: 40, example: "IIPtYJPE5tWr"},
	// Square.
	{marks: "sq0atp- sq0csp- sq0idp- sq0idb-", body: &wordChar, min: 20, example: "XaxztNFRl89O"},
	{marks: "EAAA", body: &wordChar, min: 22, max: 60, loose: true, example: "DivV4Q88bw9y"},
	// Hugging Face.
	{marks: "hf_ api_org_", body: &alnum, min: 30, example: "kwS2v6km97eV"},
	// Replicate.
	{marks: "r8_", body: &wordChar, min: 30, example: "QArzOzCx2NEv"},
	// Groq.
	{marks: "gsk_", body: &alnum, min: 30, example: "3Np3BGthcxOq"},
	// xAI.
	{marks: "xai-", body: &wordChar, min: 40, example: "6csRHpYntCcx"},
	// Perplexity.
	{marks: "pplx-", body: &alnum, min: 30, example: "UMBC6xdcV1cQ"},
	// LangSmith.
	{marks: "lsv2_", body: &wordChar, min: 30, example: "6J5mtEPWywWG"},
	// Linear.
	{marks: "lin_api_", body: &alnum, min: 30, example: "LHm65TyzXLeb"},
	// Notion.
	{marks: "ntn_", body: &alnum, min: 30, example: "xvTRf4w0Y1Q8"},
	{marks: "secret_", body: &alnum, min: 43, max: 43, loose: true, example: "oyiaijAdbd7m"},
	// Figma.
	{marks: "figd_ figp_", body: &wordChar, min: 30, example: "h1TlAQxUlbAe"},
	// Postman.
	{marks: "PMAK- PMAT-", body: &wordChar, min: 26, example: "YFAb9AVWhKHr"},
	// Doppler.
	{
		marks: "dp.pt. dp.ct. dp.sa. dp.scim. dp.audit.", body: &alnum, min: 30,
		example: "B7c94qR0D3Qw",
	},
	{marks: "dp.st.", body: &dotted, min: 30, example: "rxmnaqiYb1VO"},
	// HashiCorp Vault.
	{marks: "hvs. hvb. hvr.", body: &wordChar, min: 24, example: "JyTLHM25dPdz"},
	{marks: "s.", body: &alnum, min: 24, max: 24, loose: true, example: "51nFSEvtLwkq"},
	// Terraform Cloud.
	{
		marks: ".atlasv1.", body: &base64Char, min: 40, before: &alnum, back: 10,
		example: "QxFbitWSq8Yw",
	},
	// Fly.io.
	{marks: "fo1_", body: &wordChar, min: 30, example: "rdVQfAmQ9AqG"},
	{marks: "fm1r_ fm1a_ fm2_", body: &base64Char, min: 40, example: "V7RgxErcZooj"},
	// Grafana.
	{marks: "glc_", body: &base64Char, min: 30, example: "1dDBdVVZ5klo"},
	{marks: "glsa_", body: &wordChar, min: 30, example: "XPFh3Qe9vEuK"},
	{marks: "eyJrIjoi", body: &base64Char, min: 50, example: "8NjP59hcZez5"},
	// New Relic.
	{marks: "NRAK-", body: &alnum, min: 20, example: "I6q3PgPMV0ca"},
	{marks: "NRJS- NRBR-", body: &alnum, min: 16, example: "C1hmAuGV5rsg"},
	{marks: "NRII- NRIQ-", body: &wordChar, min: 24, example: "YRoLVlAt7fiX"},
	{marks: "NRAL -NRMA", before: &alnum, back: 36, example: ""},
	// Sentry.
	{marks: "sntrys_", body: &base64Char, min: 30, example: "UszBQjdJi9Bm"},
	{marks: "sntryu_", body: &alnum, min: 30, example: "rvij8nRqVyAu"},
	// PlanetScale.
	{marks: "pscale_", body: &tokenBody, min: 30, example: "Fh0R1miCXW2D"},
	// RubyGems.
	{marks: "rubygems_", body: &alnum, min: 32, example: "4hqvZHN9y0ci"},
	// Netlify.
	{marks: "nfp_", body: &alnum, min: 30, example: "72ZSxbgdUXlb"},
	// Vercel.
	{marks: "vcp_", body: &alnum, min: 20, example: "7KofCkrPZYF4"},
	{marks: "vercel_blob_rw_", body: &wordChar, min: 20, example: "oLj24IrDBM53"},
	// Atlassian.
	{marks: "ATATT3x ATCTT3x", body: &base64Char, min: 30, example: "O9b2TJnZq4eo"},
	{marks: "ATATT ATCTT", body: &base64Char, min: 40, example: "q7Jw0ZbX3mKd"},
	{marks: "pri_", body: &hexDigit, min: 32, max: 32, loose: true, example: "099889f14d11"},
	{marks: "ATBB", body: &base64Char, min: 20, loose: true, example: "NTOJ3RwzUrwu"},
	{marks: "BBDC-", body: &base64Char, min: 36, example: "oHh5bLVZAlfv"},
	// age.
	{marks: "AGE-SECRET-KEY-1", body: &upperDigit, min: 40, example: "MET3RD5FR7CI"},
	// Docker.
	{marks: "dckr_pat_ dckr_oat_", body: &wordChar, min: 20, example: "omeivfDw1zcS"},
	// Heroku.
	{marks: "HRKU-", body: &wordChar, min: 30, example: "NhNZ2lAYYz60"},
	// Dropbox.
	{marks: "sl.", body: &wordChar, min: 60, loose: true, example: "EwWQmsUMeHZ1"},
	// Databricks.
	{marks: "dapi", body: &hexDigit, min: 32, loose: true, example: "d29afb0d915b"},
	// EasyPost.
	{marks: "EZAK EZTK", body: &alnum, min: 50, loose: true, example: "neUV89mHqWtJ"},
	// Meta.
	{marks: "EAA", body: &alnum, min: 60, loose: true, example: "0ayuHaUlVrD5"},
	{
		marks: "|", body: &wordChar, min: 27, max: 40, before: &digit, back: 15,
		example: "rTvnGoOWZ3nz",
	},
	// JFrog.
	{marks: "AKCp", body: &alnum, min: 60, loose: true, example: "yjXbmVGMW1Zz"},
	{marks: "cmVmd", body: &alnum, min: 59, max: 59, loose: true, example: "bQVkgOryvse6"},
	// Brevo.
	{marks: "xkeysib- xsmtpsib-", body: &wordChar, min: 40, example: "NKnHDiXvoT1k"},
	// Mailgun.
	{marks: "key- pubkey-", body: &alnum, min: 32, max: 32, loose: true, example: "liFTUJT9bBER"},
	// Tailscale.
	{marks: "tskey-", body: &wordChar, min: 16, example: "L6rTKVx497Nd"},
	// Pulumi.
	{marks: "pul-", body: &alnum, min: 40, max: 40, loose: true, example: "I4ONySTXhiHd"},
	// Shippo.
	{marks: "shippo_", body: &wordChar, min: 30, example: "eY1cy7unGkxt"},
	// Flutterwave.
	{marks: "FLWSECK FLWPUBK", body: &wordChar, min: 12, example: "yplVuPR3CyEO"},
	// Plaid.
	{
		marks: "access-production- access-sandbox- access-development-", body: &wordChar, min: 30,
		example: "LPZiwzmNTx3I",
	},
	// PayPal.
	{
		marks: "access_token$production$ access_token$sandbox$", body: &dollarWord, min: 30,
		example: "Qj1nRpAJf1mV",
	},
	// 1Password.
	{marks: "ops_eyJ", body: &base64Char, min: 40, example: "4f6eqc4XVka8"},
	{marks: "A3-", body: &upperDash, min: 28, max: 40, loose: true, example: "AA82ZN0FC1F6"},
	// Duffel.
	{marks: "duffel_", body: &tokenBody, min: 30, example: "LbApYc5Agmjk"},
	// Typeform.
	{marks: "tfp_", body: &tokenBody, min: 30, example: "VdBm3U5Lc5qr"},
	// ReadMe.
	{marks: "rdme_", body: &alnum, min: 40, example: "DFZP5j0scIE3"},
	// Contentful.
	{marks: "CFPAT-", body: &wordChar, min: 30, example: "TqwEYTifnp35"},
	// Adafruit.
	{marks: "aio_", body: &alnum, min: 24, example: "ejo96wxq4Lgh"},
	// Prefect.
	{marks: "pnu_ pnb_", body: &alnum, min: 30, example: "H8rOvhUGZSBE"},
	// Yandex Cloud.
	{marks: "AQVN", body: &wordChar, min: 30, loose: true, example: "IMiJI51WbVrk"},
	{marks: "YC", body: &wordChar, min: 38, max: 38, loose: true, example: "7gN4uHCo28vw"},
	{marks: "t1.", body: &tokenBody, min: 80, loose: true, example: "hZs2yjPNUxU5"},
	// RunPod.
	{marks: "rpa_", body: &alnum, min: 40, example: "a437cW6E5GH6"},
	{marks: "cio_", body: &alnum, min: 24, example: "G7u7e8qQqDco"},
	// crates.io.
	{marks: "cio", body: &alnum, min: 32, max: 32, loose: true, example: "vmFOcBO4h4bj"},
	// Cloudflare.
	{marks: "cfut_ cfat_ cfk_", body: &alnum, min: 30, example: "j3Yxt7LOj5vE"},
	// Cloudflare origin CA.
	{marks: "v1.0-", body: &hexDash, min: 100, example: "98c2282e3686"},
	// Resend.
	{marks: "re_", body: &wordChar, min: 24, loose: true, example: "x371ErDOLz3K"},
	// Lob.
	{
		marks: "live_ test_", body: &hexDigit, min: 35, max: 35, loose: true,
		example: "8764a715ec10",
	},
	{
		marks: "live_pub_ test_pub_", body: &hexDigit, min: 31, max: 31, loose: true,
		example: "7d2a7dde236c",
	},
	// GoCardless.
	{marks: "live_", body: &tokenBody, min: 40, max: 40, loose: true, example: "ppwG1JkZm8Dq"},
	{marks: "live_", body: &alnum, min: 30, loose: true, example: "BdGJrqH41Uh4"},
	{marks: "flb_live_", body: &alnum, min: 20, example: "d480mRhE5U5c"},
	// Upstash QStash.
	{marks: "eyJVc2VySUQi", body: &base64Char, min: 20, example: "jRtn8ukiWg7M"},
	{marks: "sig_", body: &alnum, min: 24, loose: true, example: "2lhBVgkx42Pa"},
	// Telegram.
	{marks: ":AA", body: &wordChar, min: 32, before: &digit, back: 8, example: "hpDiseUWZi35"},
	{
		marks: ":A", body: &wordChar, min: 34, max: 34, before: &digit, back: 5,
		example: "tnY29VTEnfpA",
	},
	// Mailchimp.
	{marks: "-us", body: &digit, min: 1, max: 2, before: &hexDigit, back: 32, example: "7"},
	// Firebase.
	{marks: "APA91b", body: &wordChar, min: 100, example: "5FjxDVQWDBtt"},
	// Upstash Redis.
	{
		marks: "ASQg ACQg", body: &base64Char, min: 30, before: &alnum, back: 3,
		example: "NAtr0U5MUBkw",
	},
	{
		marks: "AAIncD", body: &base64Char, min: 20, before: &alnum, back: 2,
		example: "mEbIZ0k70qWp",
	},
	// Discord.
	{
		marks: "discord.com/api/webhooks/ discordapp.com/api/webhooks/", body: &hookChar, min: 40,
		example: "O0bF3G6mvvrm",
	},
	// Microsoft Teams.
	{marks: "webhook.office.com/webhookb2/", body: &hookChar, min: 60, example: "lETKaCKF9AkJ"},
	// Zapier.
	{marks: "hooks.zapier.com/hooks/catch/", body: &hookChar, min: 8, example: "nexSJ8VH"},
	// Microsoft Entra.
	{marks: "Q~", body: &azureChar, min: 31, before: &azureChar, back: 4, example: "oAWLVsP65Zkc"},
	// SonarQube.
	{marks: "squ_ sqp_ sqa_", body: &alnum, min: 40, example: "draWwz9g4bNR"},
	// Sourcegraph.
	{marks: "sgp_", body: &wordChar, min: 40, example: "y5VooHIff6XI"},
	{marks: "sqco_", body: &alnum, min: 50, example: "rL6p72qSIpt4"},
	// Buildkite.
	{marks: "bkua_", body: &alnum, min: 40, example: "729RCigqh8oj"},
	// CircleCI.
	{marks: "CCIPAT_", body: &wordChar, min: 40, example: "22IbX30nzMDN"},
	// Clojars.
	{marks: "CLOJARS_", body: &alnum, min: 60, example: "B8bYTddhKYxo"},
	// Defined Networking.
	{marks: "dnkey-", body: &tokenBody, min: 60, example: "BdPHUn2HKugV"},
	// Dynatrace.
	{marks: "dt0c01. dt0s01. dt0s16.", body: &dotted, min: 60, example: "K9jWTHFMu8je"},
	// E2B.
	{marks: "e2b_", body: &hexDigit, min: 40, max: 40, loose: true, example: "c5a420a41511"},
	// Frame.io.
	{marks: "fio-u-", body: &tokenBody, min: 60, example: "LJlLUmonzta3"},
	// Infracost.
	{marks: "ico-", body: &alnum, min: 32, max: 32, loose: true, example: "mHdba8JJ5E7c"},
	// 42.
	{
		marks: "s-s4t2ud- s-s4t2af- u-s4t2ud- u-s4t2af-", body: &hexDigit, min: 60,
		example: "04ddb10939f5",
	},
	// Neon.
	{marks: "napi_", body: &alnum, min: 40, example: "RGMq7A5DW90L"},
	// NuGet.
	{marks: "oy2", body: &alnum, min: 43, max: 43, loose: true, example: "XeAHkTjdg6o0"},
	// NVIDIA.
	{marks: "nvapi-", body: &wordChar, min: 60, example: "E4y1UwnH37fe"},
	// Razorpay.
	{marks: "rzp_live_ rzp_test_", body: &alnum, min: 14, example: "s35UNQWLISn2"},
	// Pinecone.
	{marks: "pcsk_", body: &wordChar, min: 40, example: "JZX3dKav1Qv4"},
	// PostHog.
	{marks: "phx_ phc_", body: &wordChar, min: 40, example: "sYN4JmxaRA5k"},
	// Render.
	{marks: "rnd_", body: &alnum, min: 28, loose: true, example: "61EwSWlvmKVK"},
	// Scalingo.
	{marks: "tk-us-", body: &wordChar, min: 48, example: "DbFg3t76ilNY"},
	// Snyk.
	{marks: "snyk_uat. snyk_sat.", body: &dotted, min: 60, example: "XBpTPxxiIc6i"},
	// Tavily.
	{marks: "tvly-", body: &wordChar, min: 24, example: "q7vh0Pcqr9Ej"},
	// ClickHouse Cloud.
	{marks: "4b1d", body: &alnum, min: 38, max: 38, loose: true, example: "qhn6IlWYh41l"},
	// LaunchDarkly.
	{
		marks: "sdk- mob- api-", body: &hexDash, min: 36, max: 36, loose: true,
		example: "719050ed0f38",
	},
	// Octopus Deploy.
	{marks: "API-", body: &upperDigit, min: 26, max: 26, loose: true, example: "SO38PJI8A621"},
	// Airtable.
	{marks: "pat", body: &dotted, min: 79, max: 80, loose: true, example: "Lv3s4J1W36Yo"},
	// Harness.
	{marks: "pat. sat.", body: &dotted, min: 68, max: 68, loose: true, example: "IrvPV2yXhrRz"},
	// HubSpot.
	{marks: "pat-na1- pat-eu1-", body: &hexDash, min: 36, example: "e42ecc2c8a3b"},
	// Asana.
	{marks: "1/12 2/12", body: &hexPath, min: 44, loose: true, example: "549858230560"},
	// Adobe.
	{marks: "p8e-", body: &alnum, min: 32, max: 32, loose: true, example: "CW06BaBAtxdi"},
	// Authress.
	{
		marks: ".acc_ .acc-", body: &tokenBody, min: 40, before: &dotted, back: 10,
		example: "nT4PEiZv7yQI",
	},
	// OpenShift.
	{marks: "sha256~", body: &wordChar, min: 43, example: "6bctvAE7zol8"},
	// MaxMind.
	{marks: "_mmk", before: &wordChar, back: 36, example: ""},
	// a JWT in base64.
	{marks: "ZXlK", body: &base64Char, min: 60, example: "N6jFfZqAWrqN"},
	// Mapbox.
	{marks: "pk. sk.", body: &dotted, min: 80, loose: true, example: "LRNSFNSzDf4I"},
	// SettleMint.
	{marks: "sm_aat_ sm_pat_ sm_sat_", body: &alnum, min: 16, example: "X6pmARK7vPUa"},
	// Beamer.
	{marks: "b_", body: &tokenBody, min: 44, max: 44, loose: true, example: "uLMEfjQtait2"},
	// Twitter.
	{marks: "AAAAAAAAAAAAAAAAAAAAAA", body: &pctWord, min: 80, example: "rfkTBNj4p7Yr"},
	// Salesforce.
	{marks: "3MVG9", body: &tokenBody, min: 80, example: "QXP2kqOxptuT"},
	// Zoho.
	{marks: "1000.", body: &dotted, min: 65, max: 65, loose: true, example: "kQytEO8QIMU9"},
	// Apify.
	{marks: "apify_api_", body: &wordChar, min: 30, example: "IAirpUH6rTbF"},
	// Truffle Security.
	{marks: "thog-key- thog-secret-", body: &hexDigit, min: 16, example: "a801e59b7f5d"},
	// Datadog.
	{marks: "ddp_ ddw_", body: &alnum, min: 36, max: 36, loose: true, example: "UloD2MXhFArT"},
	// Salad.
	{marks: "salad_cloud_", body: &wordChar, min: 9, example: "P0BRkHRq8"},
	// Rootly.
	{marks: "rootly_", body: &hexDigit, min: 60, example: "562a13922a02"},
	// Ramp.
	{marks: "ramp_id_ ramp_sec_", body: &alnum, min: 40, example: "dawoA7072YNZ"},
	// Sourcegraph.
	{marks: "slk_", body: &hexDigit, min: 60, example: "059c1fee2032"},
	// PubNub.
	{marks: "pub-c- sub-c- sec-c-", body: &base64Char, min: 36, example: "2pqgOJnGV7SQ"},
	// Rootly heartbeat.
	{marks: "rh-api-", body: &hexDash, min: 36, example: "019b6953744c"},
	// Endor.
	{marks: "endr+", body: &hexDash, min: 16, example: "0a0c24bc9362"},
	// Browserbase.
	{marks: "bb_pr_ bb_ma_", body: &hexDigit, min: 30, example: "1f296594252b"},
	// Voiceflow.
	{marks: "VF.", body: &dotted, min: 40, loose: true, example: "xu55vs8SuDj7"},
	// Netflix.
	{marks: "NF-", body: &alnum, min: 32, max: 32, loose: true, example: "WdLE9AywQvev"},
	// Eraser.
	{marks: "5AEP861", body: &tokenBody, min: 80, example: "dX4TLOZfH6u3"},
	// Discord: the tokens of bots begin with the base64 of a number.
	{
		marks: "MT Mj Mz ND NT Nj Nz OD OT", body: &dotted, min: 48, max: 72, loose: true,
		check:   discordToken,
		example: "A4NzE2MjUyODk0NTI3MjMx.G7aX0z.b3JkZXItb2YtdGhlLXNpZ25hdHVyZS1ieXRlcw",
	},
	// Fly.io, before other tokens.
	{mark: "FlyV1 ", body: &base64Char, min: 30, example: "kQ0rTzW8mXa2"},
	// MySQL and Oracle.
	{mark: "IDENTIFIED BY '", body: &sqlText, min: 4, example: "Zx81"},
	{mark: "identified by '", body: &sqlText, min: 4, example: "Zx81"},
	// Digest (RFC 7616 section 3.4).
	{mark: `response="`, body: &hexDigit, min: 32, max: 64, example: "6629fae49393"},
}
