package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// The samples of an answer carry the time of the query, not that of the scrape, so
// that the age of the data does not show in them. Prometheus looks back five minutes
// for the last scrape of a series, unless it is told otherwise.
type ageCheck int32

const (
	ageUnknown ageCheck = iota // the server has not answered yet
	// The server takes a limit for each query (lookback_delta, Prometheus 2.43): data
	// that is older does not get into the answer at all.
	ageByServer
	// The server cannot be told, but says when it scraped: timestamp(query) is the time
	// of the scrape where the query is nothing but a selector, and that of the query
	// otherwise. Data that is hidden in an aggregation passes.
	ageByTimestamp
	// Nor that: the query is no vector (a scalar, say).
	ageUnseen
)

// limit makes the server leave out old data; servers that do not know of it do not
// mind.
func (p *probe) limit() promv1.Option { return promv1.WithLookbackDelta(p.maxAge) }

// learnAge finds out how this server can be asked for the age of this query's data.
func (p *probe) learnAge(ctx context.Context) (ageCheck, error) {
	if known := ageCheck(p.age.Load()); known != ageUnknown {
		return known, nil
	}
	check, err := p.limits(ctx)
	if err == nil && check == ageByTimestamp {
		if _, _, _, err = p.api.Query(ctx, p.timestamps(), time.Time{}); isBadData(err) {
			check, err = ageUnseen, nil
		}
	}
	if err != nil {
		return ageUnknown, err
	}
	p.age.Store(int32(check))
	return check, nil
}

// limits asks with a limit that makes no sense: who objects has understood it.
func (p *probe) limits(ctx context.Context) (ageCheck, error) {
	u := p.client.URL("/api/v1/query", nil)
	u.RawQuery = url.Values{"query": {"vector(1)"}, "lookback_delta": {"none"}}.Encode()
	r, err := http.NewRequest(http.MethodGet, u.String(), nil)
	if err != nil {
		return ageUnknown, fmt.Errorf("make a request: %w", err)
	}
	answer, body, err := p.client.Do(ctx, r)
	switch {
	case err != nil:
		return ageUnknown, err
	case answer.StatusCode == http.StatusBadRequest && strings.Contains(string(body), string(promv1.ErrBadData)):
		return ageByServer, nil
	case answer.StatusCode == http.StatusOK:
		return ageByTimestamp, nil
	}
	return ageUnknown, &promv1.Error{Type: promv1.ErrServer, Msg: answer.Status}
}

// timestamps is the query for the times of the query's data.
func (p *probe) timestamps() string { return "timestamp(\n" + p.query + "\n)" }

// tooOld says whether the data behind an answer of that time is older than allowed.
func (p *probe) tooOld(ctx context.Context, at model.Time) (bool, error) {
	check, err := p.learnAge(ctx)
	if err != nil || check != ageByTimestamp {
		return false, err
	}
	answer, _, _, err := p.api.Query(ctx, p.timestamps(), at.Time())
	if err != nil {
		return false, err
	}
	times, ok := answer.(model.Vector)
	if !ok || len(times) != 1 {
		return true, nil // what was there a moment ago is not any more
	}
	scraped := time.UnixMilli(int64(float64(times[0].Value) * 1000))
	return at.Time().Sub(scraped) > p.maxAge, nil
}
