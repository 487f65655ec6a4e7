package scenario

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// good compiles a condition on the samples of an HTTP probe.
func good(t testing.TB, condition string, countFailed bool) *predicate {
	t.Helper()
	s := mustLoad(t, prelude+fmt.Sprintf(`
locals {
  limit = 0.3
  flag  = true
  name  = "h2"
}
steady_state "tested" {
  objective "o" {
    probe        = probe.http.checkout
    good         = %s
    target       = 0.9
    count_failed = %v
  }
}
experiment "tested" {
  steady_state = [steady_state.tested]
}
`, condition, countFailed), Options{})
	return s.Experiments[1].Objectives[0].Good.(*predicate)
}

func TestPredicate(t *testing.T) {
	ok := schema.Sample{Latency: 0.3, Value: math.NaN(), Scheduled: time.Unix(1000, 5e8), Extra: map[string]any{"status": 200.0, "body": "hello", "reused": true}}
	tests := map[string]struct {
		sample schema.Sample
		want   Answer
		fast   bool
	}{
		`sample.ok`:                     {ok, Yes, true},
		`!sample.ok`:                    {ok, No, true},
		`sample.latency < 0.3`:          {ok, No, true},
		`sample.latency == 0.3`:         {ok, Yes, true},
		`sample.latency <= local.limit`: {ok, Yes, true},
		`0.29 < sample.latency`:         {ok, Yes, true},
		`sample.latency <= duration("300ms") && sample.status == 200`: {ok, Yes, true},
		`sample.value < 1`:                                                        {ok, Unknown, true},
		`sample.value < 1 || sample.ok`:                                           {ok, Yes, true},
		`sample.value < 1 && sample.status > 0`:                                   {ok, Unknown, true},
		`sample.value < 1 && sample.status < 0`:                                   {ok, No, true},
		`sample.value == null`:                                                    {ok, Yes, false},
		`sample.time == 1000.5`:                                                   {ok, Yes, true},
		`sample.reused`:                                                           {ok, Yes, true},
		`(sample.reused) && local.flag`:                                           {ok, Yes, false},
		`sample.body == "hello"`:                                                  {ok, Yes, true},
		`sample.body != "hello"`:                                                  {ok, No, true},
		`sample["body"] == "hello"`:                                               {ok, Yes, true},
		`sample.protocol == local.name`:                                           {ok, No, true},
		`strcontains(sample.body, "ell")`:                                         {ok, Yes, false},
		`strcontains(sample.protocol, "ell")`:                                     {ok, Unknown, false},
		`sample.latency * 1000 < 301`:                                             {ok, Yes, false},
		`sample.status >= 200 && sample.status < 300 && sample.latency < 1`:       {ok, Yes, true},
		`contains([200, 204], sample.status)`:                                     {ok, Yes, false},
		`sample.latency < 0.3000000000000000000001`:                               {ok, Yes, false},
		`sample.ok ? sample.latency < 1 : false`:                                  {ok, Yes, false},
		`sample.body == var.token`:                                                {ok, No, true},
		`sample.latency < 1 && sample.status == 200 || sample.body == "degraded"`: {ok, Yes, true},
	}
	for condition, test := range tests {
		p := good(t, condition, true)
		if p.Source() != condition {
			t.Errorf("source %q", p.Source())
		}
		if got := p.Eval(&test.sample); got != test.want {
			t.Errorf("%s: %v, not %v", condition, got, test.want)
		}
		if got := p.slow(&test.sample); got != test.want {
			t.Errorf("%s, by HCL: %v, not %v", condition, got, test.want)
		}
		if (p.fast != nil) != test.fast {
			t.Errorf("%s: compiled %v", condition, p.fast != nil)
		}
	}
}

func TestPredicateStatus(t *testing.T) {
	for _, test := range []struct {
		status      schema.Status
		countFailed bool
		want        Answer
	}{
		{schema.OK, true, Yes}, {schema.OK, false, Yes},
		{schema.Failed, true, No}, {schema.Failed, false, Unknown},
		{schema.Missing, true, Unknown}, {schema.Missing, false, Unknown},
	} {
		s := schema.Sample{Status: test.status, Latency: 0.1}
		for _, condition := range []string{"sample.latency < 1", "sample.latency * 2 < 1"} {
			if got := good(t, condition, test.countFailed).Eval(&s); got != test.want {
				t.Errorf("%s with status %v, count_failed = %v: %v, not %v", condition, test.status, test.countFailed, got, test.want)
			}
		}
	}
}

// TestPredicateAgrees checks on random conditions and samples that the compiled
// form says what HCL says, also where fields are null.
func TestPredicateAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	var expr func(depth int) string
	expr = func(depth int) string {
		if depth == 0 || r.IntN(4) == 0 {
			switch r.IntN(5) {
			case 0:
				return pick("sample.ok", "sample.reused")
			case 1:
				return pick("sample.body", "sample.protocol", `"h2"`) + pick(" == ", " != ") + pick(`"h2"`, "sample.body", "local.name")
			}
			number := func() string {
				return pick("sample.latency", "sample.value", "sample.status", "sample.time", "0.3", "0", "-1.5", "200", "local.limit", "(sample.latency)", "1e3", "0.1")
			}
			return number() + pick(" < ", " <= ", " > ", " >= ", " == ", " != ") + number()
		}
		switch r.IntN(4) {
		case 0:
			return "!(" + expr(depth-1) + ")"
		case 1:
			return "(" + expr(depth-1) + ")" + pick(" && ", " || ") + expr(depth-1)
		}
		return expr(depth-1) + pick(" && ", " || ") + expr(depth-1)
	}
	values := []float64{0, 0.1, 0.3, 0.30000000000000004, 0.1 + 0.2, 200, -1.5, 1e3, math.NaN(), math.Inf(1), math.Copysign(0, -1), 5e-324, 1.7e308}
	sample := func() *schema.Sample {
		s := &schema.Sample{Latency: values[r.IntN(len(values))], Value: values[r.IntN(len(values))], Scheduled: time.UnixMicro(r.Int64N(2e15)), Extra: map[string]any{}}
		if r.IntN(3) > 0 {
			s.Extra["status"] = pickAny(r, 200.0, 0.3, int64(200), "200", nil)
		}
		if r.IntN(3) > 0 {
			s.Extra["reused"] = pickAny(r, true, false, "true", nil)
		}
		if r.IntN(3) > 0 {
			s.Extra["body"] = pickAny(r, "h2", "", "e\u0301", 5.0, nil)
		}
		if r.IntN(3) > 0 {
			s.Extra["protocol"] = pickAny(r, "h2", "http/1.1")
		}
		return s
	}
	compiled := 0
	for range 400 {
		source := expr(3)
		s, d := loadText(prelude+fmt.Sprintf(`
locals {
  limit = 0.3
  name  = "h2"
}
guard "tested" {
  probe = probe.http.checkout
  good  = %s
}
`, source), Options{})
		if s == nil {
			if !strings.Contains(d.Error(), "Condition on nothing") {
				t.Fatalf("%s: %v", source, d)
			}
			continue
		}
		p := s.Guards[2].Good.(*predicate)
		if p.fast == nil {
			continue
		}
		compiled++
		for range 50 {
			x := sample()
			if fast, slow := p.Eval(x), p.slow(x); fast != slow {
				t.Fatalf("%s on %+v: compiled %v, HCL %v", source, *x, fast, slow)
			}
		}
	}
	if compiled < 100 {
		t.Errorf("only %d conditions were compiled", compiled)
	}
}

func pickAny(r *rand.Rand, all ...any) any { return all[r.IntN(len(all))] }

func TestFilter(t *testing.T) {
	web := schema.Candidate{ID: "c1", Name: "web-1", Attributes: map[string]any{
		"state": "running", "labels": map[string]any{"app": "web"}, "networks": []any{"front", "back"}, "restarts": 3.0, "health_checked": true,
	}}
	bare := schema.Candidate{ID: "c2", Name: "bare", Attributes: map[string]any{}}
	tests := map[string]struct{ web, bare string }{
		`candidate.state == "running"`:                    {"true", "false"},
		`candidate.labels["app"] == "web"`:                {"true", "false"},
		`candidate.labels.app != "web"`:                   {"false", "true"},
		`candidate.labels["none"] == null`:                {"true", "true"},
		`lookup(candidate.labels, "x", "y") == "y"`:       {"true", "true"},
		`contains(candidate.networks, "front")`:           {"true", "error"},
		`candidate.restarts < 5 && candidate.id != "c9"`:  {"true", "error"},
		`candidate.health_checked`:                        {"true", "error"},
		`startswith(candidate.name, "web-")`:              {"true", "false"},
		`[for n in candidate.networks : n][0] == "front"`: {"true", "error"},
	}
	for condition, want := range tests {
		s := mustLoad(t, prelude+fmt.Sprintf("target \"docker_container\" \"t\" {\n  filter { condition = %s }\n}\n", condition), Options{})
		f := s.Targets[2].Filters[0]
		if f.Source() != condition || !strings.HasPrefix(f.Pos(), "test.hcl:") {
			t.Errorf("%q at %s", f.Source(), f.Pos())
		}
		for c, want := range map[*schema.Candidate]string{&web: want.web, &bare: want.bare} {
			got, err := f.Eval(*c)
			text := fmt.Sprint(got)
			if err != nil {
				text = "error"
			}
			if text != want {
				t.Errorf("%s on %s: %s, not %s (%v)", condition, c.Name, text, want, err)
			}
		}
	}
}

func BenchmarkPredicate(b *testing.B) {
	s := schema.Sample{Latency: 0.1, Value: 1, Scheduled: time.Unix(1000, 0), Extra: map[string]any{"status": 200.0, "body": "hello"}}
	for _, condition := range []string{
		"sample.ok",
		"sample.latency < 0.3",
		"sample.status == 200 && sample.latency < 0.3",
		`sample.body == "hello"`,
		"sample.latency * 1000 < 300",
		`strcontains(sample.body, "ell") && sample.status < 300`,
	} {
		p := good(b, condition, true)
		b.Run(strings.ReplaceAll(condition, " ", ""), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Eval(&s)
			}
		})
	}
}
