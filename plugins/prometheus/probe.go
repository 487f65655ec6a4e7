package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"golang.org/x/net/http/httpguts"

	"github.com/faultline-go/faultline/sdk"
)

// config is the body of a probe "prometheus" block.
type config struct {
	Address  string            `hcl:"address" example:"http://127.0.0.1:9090" doc:"Base URL of the server, such as http://127.0.0.1:9090."`
	Query    string            `hcl:"query" example:"sum(rate(http_requests_total[10s]))" doc:"A PromQL query whose answer is one series or a scalar."`
	MaxAge   time.Duration     `hcl:"max_age" default:"1m" min:"1s" max:"1h" doc:"How old the data may be that an answer rests on; older data counts as none. Take at least twice the scrape interval. Within a range selector (metric[5m]) the range itself decides. Prometheus before 2.43 shows the age only of a query that is nothing but a selector."`
	Headers  map[string]string `hcl:"headers,optional" doc:"Headers of the requests, such as a tenant's name."`
	TokenEnv string            `hcl:"token_env,optional" doc:"Name of the environment variable with a bearer token; its value is written down nowhere."`
	CAFile   string            `hcl:"ca_file,optional" doc:"PEM file of the authorities to trust for https, instead of the system's."`
}

var prometheusProbe = sdk.Probe[config]{
	Type: "prometheus",
	Doc: "Asks Prometheus for the value of a query; sample.value is the answer. " +
		"A sample is missing, and neither good nor bad, when the answer is empty, older than max_age, not a number, infinite, incomplete or more than one series, and when the server does not answer. " +
		"An alert-like query is empty while all is well: write it as a number, such as sum(rate(errors_total[10s])) or vector(0).",
	Check: config.check,
	Open:  open,
}

func (c config) check() error {
	u, err := url.Parse(c.Address)
	var bad *url.Error
	switch {
	case errors.As(err, &bad): // it quotes the whole URL, which may hold a password
		return sdk.At("address", bad.Err)
	case err != nil:
		return sdk.At("address", err)
	case u.User != nil:
		return sdk.At("address", errors.New("a user name or password does not belong there; use token_env or headers"))
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return sdk.At("address", fmt.Errorf("%q is no URL, such as http://127.0.0.1:9090", c.Address))
	case strings.TrimSpace(c.Query) == "":
		return sdk.At("query", errors.New("it is empty"))
	}
	for name, value := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return sdk.At(fmt.Sprintf("headers[%q]", name), fmt.Errorf("%q or its value is not allowed in HTTP", name))
		}
	}
	return nil
}

// firstAsk bounds the query that finds out, before anything else happens, whether
// the server understands the query at all.
const firstAsk = 5 * time.Second

func open(ctx context.Context, c config) (func(context.Context) sdk.Sample, func(), error) {
	transport, err := c.transport()
	if err != nil {
		return nil, nil, err
	}
	client, err := api.NewClient(api.Config{Address: c.Address, RoundTripper: transport})
	if err != nil {
		return nil, nil, fmt.Errorf("address %q: %w", c.Address, err)
	}
	p := &probe{client: client, api: promv1.NewAPI(client), query: c.Query, maxAge: c.MaxAge, now: time.Now}
	ctx, cancel := context.WithTimeout(ctx, firstAsk)
	defer cancel()
	_, _, _, err = p.ask(ctx)
	var refused *promv1.Error
	if isBadData(err) && errors.As(err, &refused) {
		transport.plain.CloseIdleConnections()
		return nil, nil, fmt.Errorf("query: the server does not understand it: %s", refused.Msg)
	}
	// Any other error may pass by the time that samples are wanted.
	return p.measure, transport.plain.CloseIdleConnections, nil
}
