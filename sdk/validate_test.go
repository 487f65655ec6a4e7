package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

type pickyConfig struct {
	Mode string `hcl:"mode,optional" enum:"a|b"`
	Word string `hcl:"word,optional"`
}

func (c pickyConfig) check() error {
	if c.Word == "panic" {
		panic("in a check")
	}
	if c.Word != "" {
		return errors.Join(At("word", errors.New("too long")), errors.New("nothing fits"))
	}
	return nil
}

func pickyPlugin() Plugin {
	f := switchFault()
	f.Prepare = func(context.Context, PrepareTarget, switchConfig) (Prepared[switchUndo], error) {
		return Prepared[switchUndo]{}, At("mode", errors.New("not on this lamp"))
	}
	return Plugin{
		Name: "lamp", Version: "0.1.0", Faults: []FaultType{f},
		Settings: SettingsOf(func(_ context.Context, c pickyConfig) error {
			if c.Mode == "b" {
				return At("mode", errors.New("no b here"))
			}
			return nil
		}, pickyConfig.check),
		Probes: []ProbeType{Probe[pickyConfig]{Type: "lamp", Check: pickyConfig.check, Open: func(context.Context, pickyConfig) (func(context.Context) Sample, func(), error) {
			return nil, nil, nil
		}}},
		Actions: []ActionType{Action[pickyConfig]{Type: "lamp", Check: pickyConfig.check, Do: func(context.Context, pickyConfig) (string, error) { return "", nil }}},
		Targets: []TargetType{Target[pickyConfig]{Type: "lamp", Check: pickyConfig.check, Discover: func(context.Context, pickyConfig) ([]Candidate, error) { return nil, nil }}},
	}
}

func TestServerValidates(t *testing.T) {
	s, err := newServer(pickyPlugin())
	if err != nil {
		t.Fatal(err)
	}
	long := json.RawMessage(`{"word": "long"}`)
	said := []wire.Problem{{Path: "word", Text: "too long"}, {Text: "nothing fits"}}
	got, err := s.Validate(t.Context(), []wire.Configuration{
		{Kind: "probe", Type: "lamp", Config: long}, {Kind: "action", Type: "lamp", Config: long}, {Kind: "target", Type: "lamp", Config: long},
		{Kind: "settings", Config: long}, {Kind: "fault", Type: "lamp_off", Config: json.RawMessage(`{"moed": "x"}`)},
		{Kind: "probe", Type: "lamp", Config: json.RawMessage(`{"mode": "c"}`)}, {Kind: "probe", Type: "lamp"},
	})
	want := [][]wire.Problem{said, said, said, said, {{Text: `unknown argument "moed"`}}, {{Path: "mode", Text: `"c" is none of a, b`}}, nil}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = s.Validate(t.Context(), []wire.Configuration{{Kind: "probe", Type: "lamp", Config: json.RawMessage(`{"word": "panic"}`)}})
	if err != nil || len(got[0]) != 1 || !strings.Contains(got[0][0].Text, "panicked: in a check") {
		t.Errorf("a check that panics: %+v, %v", got, err)
	}
	for _, c := range []wire.Configuration{{Kind: "probe", Type: "lamp_x"}, {Kind: "guard"}} {
		if _, err := s.Validate(t.Context(), []wire.Configuration{c}); err == nil {
			t.Errorf("%+v was validated", c)
		}
	}
}

func TestServerSaysWhere(t *testing.T) {
	s, err := newServer(pickyPlugin())
	if err != nil {
		t.Fatal(err)
	}
	var why *wire.Invalid
	err = s.Configure(t.Context(), wire.Configure{Settings: json.RawMessage(`{"mode": "b"}`)})
	if !errors.As(err, &why) || !reflect.DeepEqual(why.Problems, []wire.Problem{{Path: "mode", Text: "no b here"}}) {
		t.Errorf("settings: %v", err)
	}
	var prepared []wire.Prepared
	err = s.Prepare(t.Context(), wire.Prepare{Type: "lamp_off", Targets: []schema.Candidate{{ID: "x"}}}, func(p wire.Prepared) error {
		prepared = append(prepared, p)
		return nil
	})
	if err != nil || len(prepared) != 1 || prepared[0].Err != "mode: not on this lamp" || !reflect.DeepEqual(prepared[0].Problems, []wire.Problem{{Path: "mode", Text: "not on this lamp"}}) {
		t.Errorf("prepared %+v, %v", prepared, err)
	}
}
