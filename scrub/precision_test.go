package scrub_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

// TestLeavesAlone holds texts that look like data and are none.
func TestLeavesAlone(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, text := range []string{
		"@Override public void run()", "user@", "@angular/core@17.0.1", "foo@bar", "#include <a@b>",
		"npm i react@18.2.0", "docker.io/library/redis@sha256:7c3f2a", "k8s.gcr.io/pause:3.1",
		"email address is required", "see RFC 5322 section 3.4.1", "arn:aws:s3:::my-bucket/key",
		"arn:aws:iam::123456789012:role/Admin", "account 123456789012",
		"s3://bucket/2026/01/02/15/04", "x@y", "a@b.c",
		"commit 1234567890abcdef1234567890abcdef12345678", "ETag: \"5d8c72a5edda8d6a-1234\"",
		"Content-Length: 4012888", "offset=4012888888881882", "seq 4929718123456780",
		"1234567890123456", "0000000000000000", "4444444444444444", "1111222233334444",
		"9999999999999999", "id=6304000000000001", "2026-01-02 03:04:05.678901234", "20260102150405",
		"20260102T150405Z", "1767366245123456789", "1767366245", "1767366245.123456",
		"10:20:30.123456", "Mon Jan  2 15:04:05 2006", "02/Jan/2026:15:04:05 +0000",
		"2026-01-02T15:04:05+01:00", "2026-W01-2", "15:04:05,123", "T+00:01:02",
		"uptime 12 days, 3:04", "from 2020-2024", "1999-2000-2001", "pages 123-125", "12-34-56",
		"port 8080-8090", "3.14159265358979", "1,234,567,890", "1.234.567,89", "12 345 678",
		"$1,234.56", "100 200 300 400", "1920x1080", "0.0.0.0:8080", "127.0.0.1:5432", "::1",
		"[::]:8080", "v1.2.3.4", "version 1.2.3.4", "1.2.3", "Chrome/120.0.0.0", "Firefox/121.0",
		"5.15.0-91-generic", "OpenSSL 3.0.2 15", "go1.21.5", "jdk-17.0.9+9", "php 8.2.14-1+deb12u1",
		"lib-4.17.21.min.js", "assembly 4.0.30319.42000", "1.2.3.4.5.6", "lat=41.0082,lon=28.9784",
		"bbox 12.34 56.78 90.12 34.56", "rgb(255, 255, 255)", "#ff00ff", "0xdeadbeef",
		"0x7ffee4c0a123", "MAC 00:1a:2b:3c:4d:5e", "std::string::npos", "Foo::Bar", "fe::ed",
		"a::b::c", "::before", "x?1:2", "12:34", "::ng-deep", "abc::def", "1::2", "cafe::babe",
		"the password must contain 8 characters", "password: required", "Password reset requested",
		"forgot password?", "change your password: click here",
		"password: must be at least 12 characters long", "invalid token: unexpected end of input",
		"token: ;", "token type: Bearer", "token_type=bearer", "\"token_type\":\"bearer\"",
		"csrf token missing", "secret santa", "secretary=Jane", "key=value", "primary key (id)",
		"foreign_key=user_id", "public_key=abc", "api_key_count=3", "author=bob", "authored_by=bob",
		"authenticated=true", "auth=none", "session=expired", "session_id=null", "cookie=accepted",
		"cookies: enabled", "credential helper: osxkeychain", "tokenizer=bpe", "tokens: 1200",
		"\"max_tokens\":4096", "\"total_tokens\": 123456", "input_tokens=1234567", "secrets: 3",
		"passed=12 failed=0", "pass: 17", "pass rate: 98%", "bypass=true", "compass=north", "sid=1",
		"signature mismatch", "signature: func(int) string", "pin 13 is high", "spin=up",
		"opinion=good", "name=first", "first_name_required=true", "address=0x1234", "street=ok",
		"code=200", "error_code=E1234", "status code: 500", "security code review", "key: ctrl+c",
		"hotkey=F5", "basic plan", "Basic usage: run", "digest sha256:abcd", "Digest: SHA-256=abc",
		"bearer", "Bearer authentication scheme", "Bearer realm=\"example\"",
		"WWW-Authenticate: Bearer realm=\"api\"", "WWW-Authenticate: Basic realm=\"x\"",
		"Authorization header is missing", "authorization: required",
		"sk-learn-contrib-package-name", "task-1234567890-abcdefghij", "ghp_short", "AKIA",
		"SKU-12345678901234567890", "ACME Corporation 2026", "re_match_pattern_for_long_names",
		"live_streaming_configuration_enabled1", "key-value-store-with-long-name-2", "sl.update",
		"hf_hub_download", "npm_config_registry", "npm_lifecycle_event", "pypi-server",
		"sess-manager", "eyJ", "eyJhIjoxfQ==", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg",
		"sha512-abc/def+ghi==", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
		"-----BEGIN PUBLIC KEY-----\nMIIB", "https://example.com:8080/path",
		"http://localhost:3000/@user", "https://medium.com/@user/post-1234567890ab", "file:///C:/x",
		"git+ssh://git@github.com/o/r.git", "mailto:", "postgres://localhost/db",
		"https://host/a:b@c", "GB2312 encoding", "ISO8859-1 text", "DE12 road", "AB12 3CD 4EF",
		"SE2026 build", "ES6 module", "utf8mb4_0900_ai_ci", "FR2030", "isbn 9783161484100",
		"978-3-16-148410-0", "EAN 4006381333931", "tracking 1Z999AA10123456784",
		"VIN 1HGCM82633A004352", "UPS 9400 1000 0000 0000 0000 00", "invoice 2026-000123",
		"PO 4500012345", "case 0001-0002-0003", "phone model X100", "call stack depth 1234567",
		"call 123", "mobile view 375x812", "fax machine", "tel aviv 2026", "cell B12",
		"dial timeout 30s", "call id 1234567890", "calling function 0x1234567",
		"mobile_web_sessions=1234567", "call duration: 1234567 ns", "id 0123456789",
		"batch 0000123456", "(123) 456", "(2026) 12-34", "room (101) 22-33", "+1 -1", "+12345",
		"-5551234", "x+123456789", "C++17 2020", "GMT+0300 (EET)", "+0000 2026", "1e+15",
		"a+b=c 123", "1-2-3-4-5-6-7", "192-168-001", "999-99-9999", "000-12-3456", "123-456-7890123",
		"123-45-67890", "12-345-6789", "build-123-45-6789x", "pkg@1.2.0-rc.beta", "x@v1.0.beta",
		"DE00370400440532013000", "DE89370400440532013001", "hash 4929718123456789abcdef0123456789",
		"9fceb02d0ae598e95dc970b74767f19372d61af8", "7f3d2c1a-9b8e-4f60-a1b2-492971812345",
		"0.4929718123456789", "4929718123456788", "card 4929-7181 2345.6789",
		"Bearer: see documentation", "authorization: bearer",
	} {
		got, _ := s.String(text)
		require.Equal(t, text, got)
	}
}

// TestSpellings holds one text for each spelling that a detector accepts.
func TestSpellings(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, tt := range []struct{ in, want string }{
		{"4012 - 8888 - 8888 - 1881", "[card]"},
		{"3782 822463 10005", "[card]"},
		{"40128888 88881881", "[card]"},
		{"%B4012888888881881^SMITH/J", "%B[card]^SMITH/J"},
		{"4012\t8888\t8888\t1881", "[card]"},
		{"ann@[192.168.1.5]", "[email]"},
		{"http://ann@example.com/path", "http://[email]/path"},
		{"email='o''brien@example.com'", "email='[email]'"},
		{"bot 123456789:" + "AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc", "bot [token]"},
		{"mail 0123456789abcdef0123456789abcdef" + "-us12 sent", "mail [token] sent"},
		{"AXyz" + "ASQgMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "[token]"},
		{"Authorization: ApiKey foo:bar", "Authorization: [token]"},
		{"Set-Cookie: SID=31d4d96e; Path=/; Secure", "Set-Cookie: [token]"},
		{"redis://:p4ss@cache:6379/0", "redis://[token]@cache:6379/0"},
		{"https://user:p@ss@host/x", "https://[token]@host/x"},
		{"bearer abc.def.ghi", "bearer [token]"},
		{"PASSWORD=\"my pass word\"", "PASSWORD=\"[secret]\""},
		{"password='it''s'", "password='[secret]'"},
		{"password is hunter2", "password is [secret]"},
		{"Server=db;Password=My$ecret;", "Server=db;Password=[secret];"},
		{"[password] => hunter2", "[password] => [secret]"},
		{"--api-key=abcdef", "--api-key=[secret]"},
		{"secret_key_base: 0123abc", "secret_key_base: [secret]"},
		{"password=[secret]hunter2", "password=[secret]"},
		{"{\"name\":\"password\",\"value\":\"x\"}", "{\"name\":\"password\",\"value\":\"[secret]\"}"},
		{"\"tokens\":[\"ab1cd2ef\",\"b2cd3ef4\"]", "\"tokens\":[\"[secret]\"]"},
		{"map[Authorization:[Bearer abc] Accept:[x]]", "map[Authorization:[[token]] Accept:[x]]"},
		{"(0212) 555 12 34", "[phone]"},
		{"0 532 123 45 67", "[phone]"},
		{"07700900123", "[phone]"},
		{"+44 (0)20 7946 0958", "[phone]"},
		{"tel:+1.202.555.0143", "tel:[phone]"},
		{"call 2025550143", "call [phone]"},
		{"ssn 123456789", "ssn [ssn]"},
		{"DE89-3704-0044-0532-0130-00", "[iban]"},
		{"de89370400440532013000", "[iban]"},
		{"[2001:db8::1]:443", "[[ip]]:443"},
		{"::ffff:192.168.1.1", "[ip]"},
		{"2001%3Adb8%3A%3A1", "[ip]"},
		{"client 10.0.0.5:443", "client [ip]:443"},
	} {
		got, _ := s.String(tt.in)
		require.Equal(t, tt.want, got)
	}
}

// TestEdges holds what the tables above do not reach: the ends of texts, odd
// quotes, and what is left of broken input.
func TestEdges(t *testing.T) {
	t.Parallel()
	s := newScrubber(t, scrub.Config{})
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"@", "@"},
		{"a@", "a@"},
		{"@a.com", "@a.com"},
		{`"a","b@example.com"`, `"a","[email]"`},
		{`["x","@example.com"]`, `["x","@example.com"]`},
		{`\"ann lee\"@example.com`, `[email]`},
		{"x \"unclosed@example.com", "x \"[email]"},
		{"a@[999]x", "[email]x"},
		{"a@[zz]", "a@[zz]"},
		{"ann@例子.com你好", "[email]"},
		{"联系ann@example.com。谢谢", "联系[email]。谢谢"},
		{"ann@example.xn--p1ai", "[email]"},
		{"password", "password"},
		{"password=", "password="},
		{"password: \n", "password: \n"},
		{"password=''", "password=''"},
		{"password='unclosed\nnext", "password='[secret]\nnext"},
		{"password=`tick`", "password=`[secret]`"},
		{"password%3Dhunter2&x=1", "password%3D[secret]&x=1"},
		{`{%22password%22:%22hunter2%22}`, `{%22password%22:%22[secret]%22}`},
		{"<password>hunter2</password>", "<password>[secret]</password>"},
		{"password->hunter2", "password->[secret]"},
		{"password := \"x\"", "password := \"[secret]\""},
		{`"password": {"old":"a"}`, `"password": "[secret]"`},
		{"Authorization:[]string{\"Bearer x1\", \"y\"}", "Authorization:[]string{\"[token]\"}"},
		{"Cookie: a=b;c=d; e=f\r\nHost: x", "Cookie: [token]\r\nHost: x"},
		{`"cvv":123,"x":1`, `"cvv":"[secret]","x":1`},
		{`\"cvv\":123}`, `\"cvv\":\"[secret]\"}`},
		{"-----BEGIN PRIVATE KEY", "-----BEGIN PRIVATE KEY"},
		{"key=\"-----BEGIN EC PRIVATE KEY-----\nMII\n-----END EC PRIVATE KEY-----\"", "key=\"[token]\""},
		{"password=-----BEGIN PRIVATE x", "password=[secret] PRIVATE x"},
		{"Authorization: Bearer -----BEGIN PRIVATE KEY-----\nMII(", "Authorization: Bearer [token]("},
		{"-----BEGIN PRIVATE KEY-----MII(", "[token]("},
		{"Basic dTpw", "Basic [token]"},
		{"Basic YW5uYTpzM2NyM3Q_ x", "Basic [token] x"},
		{"://u:p@h", "://[token]@h"},
		{"http://u@h/", "http://u@h/"},
		{"4929718123456789.00", "[card].00"},
		{"1.5e+15 4.9e+1 4.9297e+9", "1.5e+15 4.9e+1 4.9297e+9"},
		{"tel", "tel"},
		{"+1", "+1"},
		{"1234 4929 7181 2345 6789 12", "1234 [card] 12"},
		{"4929 718123 45678 1", "4929 718123 45678 1"},
		{"0123456789 00441712345678", "0123456789 00441712345678"},
		{"0044 171 2345678", "[phone]"},
		{"x0612345678 0612345678x", "x0612345678 0612345678x"},
		{"[email] [card] [phone]: 1", "[email] [card] [phone]: 1"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, _ := s.String(tt.in)
			require.Equal(t, tt.want, got)
		})
	}
}
