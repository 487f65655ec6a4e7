package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/faultline-go/faultline/sdk"
)

// transport adds to every request what the probe's block says.
type transport struct {
	plain   *http.Transport
	headers http.Header
}

func (c config) transport() (*transport, error) {
	t := &transport{
		plain: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
		},
		headers: http.Header{"User-Agent": {"faultline/" + version}},
	}
	for name, value := range c.Headers {
		t.headers.Set(name, value)
	}
	if c.TokenEnv != "" {
		token, err := sdk.Env("prometheus", c.TokenEnv)
		if err != nil {
			return nil, fmt.Errorf("token_env: %w", err)
		}
		if token == "" {
			return nil, fmt.Errorf("token_env: environment variable %s is empty where faultline runs", c.TokenEnv)
		}
		t.headers.Set("Authorization", "Bearer "+token)
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s holds no certificate", c.CAFile)
		}
		t.plain.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return t, nil
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range t.headers {
		if name == "Host" {
			r.Host = values[0]
			continue
		}
		r.Header[name] = values
	}
	return t.plain.RoundTrip(r)
}
