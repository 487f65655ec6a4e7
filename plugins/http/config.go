package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/faultline-go/faultline/sdk"
)

// config is the body of a probe "http" block.
type config struct {
	URL     string            `hcl:"url" example:"http://127.0.0.1:8080/health" doc:"Where the request goes: http:// or https://."`
	Method  string            `hcl:"method" default:"GET" doc:"The request's method."`
	Headers map[string]string `hcl:"headers,optional" doc:"Headers of the request; Host sets the host name that is asked for."`
	Body    string            `hcl:"body,optional" doc:"The request's body."`

	ExpectStatus []float64 `hcl:"expect_status,optional" doc:"The status codes that are right. Default: 200 to 399."`
	ExpectBody   string    `hcl:"expect_body,optional" doc:"A regular expression that is found anywhere in the body; plain text finds itself."`
	MaxBody      int       `hcl:"max_body" unit:"bytes" default:"1048576" min:"0" max:"1073741824" doc:"How many bytes of the body are read. The rest is left, at the cost of the connection."`

	CaptureBody   bool   `hcl:"capture_body,optional" doc:"Put the first kilobyte of the body into the sample, as sample.body. Off by default, because it costs journal space with every sample, and may hold personal data."`
	CaptureHeader string `hcl:"capture_header,optional" doc:"The header of the answer whose value goes into the sample, as sample.header."`

	FollowRedirects bool `hcl:"follow_redirects" default:"false" doc:"Go where a redirect points to, ten times at most, and judge the last answer."`
	HTTP2           bool `hcl:"http2" default:"true" doc:"Speak HTTP/2 with servers that offer it over TLS."`
	Reuse           bool `hcl:"reuse_connections" default:"true" doc:"Keep connections open for later requests. When false, each request opens its own and says \"Connection: close\"."`
	Proxy           bool `hcl:"proxy_from_environment" default:"false" doc:"Use the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name."`

	TLS *tlsConfig `hcl:"tls,block" doc:"How https connections are made."`
}

func (c config) check() error {
	u, err := url.Parse(c.URL)
	var bad *url.Error
	switch {
	case errors.As(err, &bad): // it quotes the whole URL, which may hold a password
		return sdk.At("url", bad.Err)
	case err != nil:
		return sdk.At("url", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return sdk.At("url", fmt.Errorf("%q must start with http:// or https://", c.URL))
	case u.Hostname() == "":
		return sdk.At("url", fmt.Errorf("the host is missing in %q", c.URL))
	case u.User != nil:
		return sdk.At("url", errors.New("a user name or password does not belong there; use headers"))
	}
	if !token(c.Method) {
		return sdk.At("method", fmt.Errorf("%q is none", c.Method))
	}
	for name, value := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return sdk.At(fmt.Sprintf("headers[%q]", name), fmt.Errorf("%q or its value is not allowed in HTTP", name))
		}
	}
	if c.CaptureHeader != "" && !token(c.CaptureHeader) {
		return sdk.At("capture_header", fmt.Errorf("%q is no name of a header", c.CaptureHeader))
	}
	for i, s := range c.ExpectStatus {
		if s != float64(int(s)) || s < 100 || s > 599 {
			return sdk.At(fmt.Sprintf("expect_status[%d]", i), fmt.Errorf("%v is no status code; they go from 100 to 599", s))
		}
	}
	if _, err := regexp.Compile(c.ExpectBody); err != nil {
		return sdk.At("expect_body", err)
	}
	return sdk.At("tls", c.TLS.check())
}

func token(s string) bool { return httpguts.ValidHeaderFieldName(s) }

// request makes the request that each sample sends a copy of.
func (c config) request() (*http.Request, error) {
	r, err := http.NewRequest(c.Method, c.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("User-Agent", "faultline/"+version)
	for name, value := range c.Headers {
		if strings.EqualFold(name, "Host") {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	return r, nil
}

// rightStatus tells the right status codes from the others.
func (c config) rightStatus() func(int) bool {
	if len(c.ExpectStatus) == 0 {
		return func(status int) bool { return status >= 200 && status < 400 }
	}
	var right [600]bool
	for _, s := range c.ExpectStatus {
		right[int(s)] = true
	}
	return func(status int) bool { return status < len(right) && right[status] }
}
