package scenario

import (
	"fmt"
	"math"
	"time"

	"github.com/faultline-go/faultline/sdk/schema"
)

// MaxRate is the most samples a second that a probe may be asked for.
const MaxRate = 100_000

func (l *loader) loadProbes() {
	for _, d := range l.probes.order {
		p := l.offered(d.block, "probe")
		if p == nil {
			d.broken = true
		}
		for _, i := range l.forEach(d, l.root) {
			if p == nil {
				continue
			}
			if probe := l.loadProbe(d, i, p.description); probe != nil {
				l.scenario.Probes = append(l.scenario.Probes, probe)
				l.probeOf[probe.Name] = probe
			}
		}
	}
}

func (l *loader) loadProbe(d *declared, i instance, plugin *schema.Description) *Probe {
	typ := d.block.Labels[0]
	kind := plugin.Probe(typ)
	what := fmt.Sprintf("a probe %q", typ)
	a := l.args(d.block, what, i.ctx)
	p := &Probe{
		Name:     d.nameOf(i),
		Type:     typ,
		Plugin:   schema.PluginOf(typ),
		Interval: a.duration("interval", DefaultInterval, time.Second/MaxRate, 0),
		Timeout:  a.duration("timeout", DefaultTimeout, time.Microsecond, 0),
		Pos:      place(d.block.TypeRange),
	}
	if rate, ok := a.number("rate"); ok {
		switch {
		case a.has("interval"):
			a.error(d.block.Body.Attributes["rate"].NameRange, "rate and interval", "rate says how many samples a second, interval how long from one to the next. Keep one of the two.")
		case rate <= 0 || rate > MaxRate:
			a.error(a.rangeOf("rate"), "Rate out of range", "A rate is a number of samples a second, above 0 and up to %d.", MaxRate)
		case float64(time.Second)/rate > math.MaxInt64/2:
			a.error(a.rangeOf("rate"), "Rate out of range", "So few samples would take centuries; give an interval.")
		default:
			p.Interval = time.Duration(math.Round(float64(time.Second) / rate))
		}
	}
	dec := decoder{l: l, ctx: i.ctx, what: what, meta: schema.ProbeMeta}
	config, ok := dec.decode(d.block.Body, kind.Config, header(d.block))
	if !ok || a.bad {
		return nil
	}
	p.Config = config
	return p
}

// sampleFields are the fields that the samples of a probe have.
func (l *loader) sampleFields(p *Probe) []schema.Attribute {
	fields := schema.SampleCore
	if d := l.plugins[p.Plugin].description; d != nil {
		if kind := d.Probe(p.Type); kind != nil {
			fields = append(fields[:len(fields):len(fields)], kind.Sample...)
		}
	}
	return fields
}
