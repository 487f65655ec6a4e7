package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire/internal/pb"
)

// picky is a plugin that looks at configurations beforehand.
type picky struct {
	echo
	calls int
}

func (p *picky) Validate(_ context.Context, all []Configuration) ([][]Problem, error) {
	p.calls++
	out := make([][]Problem, len(all))
	for i, c := range all {
		if strings.Contains(string(c.Config), "bad") {
			out[i] = []Problem{{Path: "a[1].b", Text: c.Kind + " " + c.Type + "\xff"}}
		}
	}
	return out, p.err
}

func (p *picky) Prepare(_ context.Context, _ Prepare, send func(Prepared) error) error {
	return send(Prepared{Target: "t", Err: "e", Problems: []Problem{{Path: "a", Text: "no"}}})
}

func TestValidate(t *testing.T) {
	impl := &picky{}
	c, _ := connect(t, impl)
	// More than one message takes: the places stay right.
	large := json.RawMessage(fmt.Sprintf(`{"x": %q}`, strings.Repeat("y", validateBytes/2)))
	all := []Configuration{{Kind: "fault", Type: "a", Config: large}, {Kind: "probe", Type: "b", Config: json.RawMessage(`{"bad": 1}`)},
		{Kind: "fault", Type: "c", Config: large}, {Kind: "settings", Config: json.RawMessage(`{"bad": 1}`)}}
	got, err := c.Validate(t.Context(), all)
	want := [][]Problem{nil, {{"a[1].b", "probe b\uFFFD"}}, nil, {{"a[1].b", "settings \uFFFD"}}}
	if err != nil || !reflect.DeepEqual(got, want) || impl.calls < 2 {
		t.Errorf("in %d calls: %+v, %v", impl.calls, got, err)
	}
	impl.err = errors.New("broken")
	if _, err := c.Validate(t.Context(), all[:1]); err == nil || err.Error() != "broken" {
		t.Errorf("an error of the call: %v", err)
	}
	prepared, err := c.Prepare(t.Context(), Prepare{Targets: []schema.Candidate{{ID: "t"}}})
	if err != nil || len(prepared) != 1 || !reflect.DeepEqual(prepared[0].Problems, []Problem{{"a", "no"}}) {
		t.Errorf("prepared %+v, %v", prepared, err)
	}
}

// A plugin from before the call has nothing to say.
func TestValidateIsNotThere(t *testing.T) {
	c, _ := connect(t, &echo{})
	got, err := c.Validate(t.Context(), []Configuration{{Kind: "fault"}})
	if got != nil || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// Settings are refused in fields by a plugin and an engine that both know them, and in
// words where one of the two does not.
func TestConfigureSaysWhere(t *testing.T) {
	refusal := &Invalid{Text: "zone: no", Problems: []Problem{{"zone", "no"}}}
	c, _ := connect(t, &echo{err: refusal})
	err := c.Configure(t.Context(), Configure{})
	var got *Invalid
	if !errors.As(err, &got) || !reflect.DeepEqual(got, refusal) {
		t.Errorf("got %+v", err)
	}
	s := &server{impl: &echo{err: refusal}}
	if _, err := s.Configure(t.Context(), &pb.ConfigureRequest{}); err == nil || !strings.Contains(err.Error(), "zone: no") {
		t.Errorf("to an old engine: %v", err)
	}
}
