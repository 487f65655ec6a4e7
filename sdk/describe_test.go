package sdk

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

func noProbe(typ string) Probe[struct{}] {
	return Probe[struct{}]{Type: typ, Open: func(context.Context, struct{}) (func(context.Context) Sample, func(), error) {
		return nil, nil, nil
	}}
}

func TestDescribe(t *testing.T) {
	second := switchFault()
	second.Type, second.Concurrency, second.Settle = "lamp_dim", 3, 2*time.Second
	d, err := Describe(Plugin{
		Name: "lamp", Version: "1.2.3", Doc: "Lamps.",
		Settings: SettingsOf(func(context.Context, struct {
			Host string `hcl:"host"`
		}) error {
			return nil
		}),
		Faults:  []FaultType{switchFault(), second},
		Probes:  []ProbeType{noProbe("lamp")},
		Actions: []ActionType{Action[struct{}]{Type: "lamp_buy", Do: func(context.Context, struct{}) (string, error) { return "", nil }}},
		Targets: []TargetType{Target[struct{}]{Type: "lamp_shelf", Interfaces: []string{"lamp"}, Discover: func(context.Context, struct{}) ([]Candidate, error) { return nil, nil }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.Format != schema.Version || d.Name != "lamp" || d.Version != "1.2.3" || d.Settings.Attribute("host") == nil {
		t.Errorf("description %+v", d)
	}
	if len(d.Faults) != 2 || d.Faults[0].Type != "lamp_dim" {
		t.Errorf("faults are not sorted: %+v", d.Faults)
	}
	if f := d.Fault("lamp_dim"); f.Concurrency != 3 || f.SettleMS != 2000 || f.RevertMS != 1000 {
		t.Errorf("lamp_dim %+v", f)
	}
	if f := d.Fault("lamp_off"); f.Concurrency != defaultConcurrency {
		t.Errorf("lamp_off %+v", f)
	}
	if d.Probe("lamp") == nil || d.Action("lamp_buy") == nil || d.Target("lamp_shelf") == nil {
		t.Errorf("description %+v", d)
	}
}

func TestDescribeRefuses(t *testing.T) {
	withFault := func(change func(*Fault[switchConfig, switchUndo])) Plugin {
		f := switchFault()
		change(&f)
		return Plugin{Name: "lamp", Faults: []FaultType{f}}
	}
	for want, p := range map[string]Plugin{
		"lower-case letters":              {Name: "Lamp"},
		"types of plugin lamp":            withFault(func(f *Fault[switchConfig, switchUndo]) { f.Type = "candle_off" }),
		"needs Prepare":                   withFault(func(f *Fault[switchConfig, switchUndo]) { f.Scan = nil }),
		"needs Accepts":                   withFault(func(f *Fault[switchConfig, switchUndo]) { f.RevertTime = 0 }),
		`there is no hold "firmly"`:       withFault(func(f *Fault[switchConfig, switchUndo]) { f.Hold = "firmly" }),
		`there is no reversibility "x"`:   withFault(func(f *Fault[switchConfig, switchUndo]) { f.Reversibility = "x" }),
		"fault lamp_off is offered twice": {Name: "lamp", Faults: []FaultType{switchFault(), switchFault()}},
		`argument "duration" belongs`: {Name: "lamp", Faults: []FaultType{Fault[struct {
			D string `hcl:"duration"`
		}, switchUndo]{
			Type: "lamp_x", Accepts: switchFault().Accepts, Hold: HoldKernel, Reversibility: Reversible, RevertTime: 1,
			Prepare: func(context.Context, PrepareTarget, struct {
				D string `hcl:"duration"`
			}) (Prepared[switchUndo], error) {
				return Prepared[switchUndo]{}, nil
			},
			Inject: func(context.Context, struct {
				D string `hcl:"duration"`
			}, switchUndo) error {
				return nil
			},
			Observe: func(context.Context, struct {
				D string `hcl:"duration"`
			}, switchUndo) (Effect, error) {
				return Effect{}, nil
			},
			Revert: switchFault().Revert, Scan: switchFault().Scan,
		}}},
		"needs Open":                  {Name: "lamp", Probes: []ProbeType{Probe[struct{}]{Type: "lamp"}}},
		"needs Do":                    {Name: "lamp", Actions: []ActionType{Action[struct{}]{Type: "lamp"}}},
		"needs Discover":              {Name: "lamp", Targets: []TargetType{Target[struct{}]{Type: "lamp"}}},
		"every sample has ok already": {Name: "lamp", Probes: []ProbeType{withSample("ok", "bool")}},
		"a sample has strings":        {Name: "lamp", Probes: []ProbeType{withSample("body", "list(string)")}},
		"settings: ": {Name: "lamp", Settings: SettingsOf(func(context.Context, struct {
			V string `hcl:"version"`
		}) error {
			return nil
		})},
	} {
		if _, err := Describe(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := NewServer(p); err == nil {
			t.Errorf("%s: a server was made of it", want)
		}
	}
}

func withSample(name, typ string) Probe[struct{}] {
	p := noProbe("lamp")
	p.Sample = []schema.Attribute{{Name: name, Type: typ}}
	return p
}
