//go:build linux

package impair

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/vishvananda/netlink/nl"
)

// tick is the unit of times in queueing disciplines: the kernel's PSCHED_SHIFT is 6, and
// has been since 2009.
const tick = 64 * time.Nanosecond

// mostTime is the longest that fits.
const mostTime = time.Duration(math.MaxUint32) * tick

func ticks(d time.Duration) uint32 { return uint32(min(d, mostTime) / tick) }

// chance is a share as a number of 32 bits.
func chance(share float64) uint32 {
	return uint32(min(max(math.Round(share*math.MaxUint32), 0), math.MaxUint32))
}

// attribute is a netlink attribute of 32-bit words.
func attribute(kind int, words ...uint32) *nl.RtAttr {
	var b []byte
	for _, w := range words {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return nl.NewRtAttr(kind, b)
}

// qdisc is a tbf, see tc-tbf(8).
func (r Rate) qdisc(handle uint32) Qdisc {
	const ethernet = 1 // the link layer: without tables of rates, which kernels from 3.8 on do not need
	bucket := uint32(min(uint64(r.Burst)*uint64(time.Second/tick)/r.Bytes, math.MaxUint32))
	// struct tc_tbf_qopt: rate and peak rate (tc_ratespec), limit, buffer in ticks, mtu.
	rate := uint32(min(r.Bytes, math.MaxUint32))
	words := []uint32{uint32(ethernet) << 8, 0, rate, 0, 0, 0, r.Limit, bucket, 0}
	options := attribute(nl.TCA_TBF_PARMS, words...).Serialize()
	if r.Bytes > math.MaxUint32 {
		options = append(options, nl.NewRtAttr(nl.TCA_TBF_RATE64, binary.NativeEndian.AppendUint64(nil, r.Bytes)).Serialize()...)
	}
	options = append(options, attribute(nl.TCA_TBF_BURST, r.Burst).Serialize()...)
	return Qdisc{Kind: "tbf", Handle: handle, Options: options}
}

// netemPackets is how many packets may wait in a netem: at 200 ms, 100,000 a second.
const netemPackets = 20_000

// qdisc is a netem, see tc-netem(8).
func (n Netem) qdisc(handle uint32) Qdisc {
	// struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter.
	var options []byte
	for _, w := range []uint32{ticks(n.Delay), netemPackets, chance(n.Loss), n.gap(), chance(n.Duplicate), ticks(n.Jitter)} {
		options = binary.NativeEndian.AppendUint32(options, w)
	}
	add := func(a *nl.RtAttr) { options = append(options, a.Serialize()...) }
	of := func(is bool) uint32 { // the correlation belongs to what the fault is about
		if is {
			return chance(n.Correlation)
		}
		return 0
	}
	if n.Correlation > 0 {
		add(attribute(nl.TCA_NETEM_CORR, of(n.Jitter > 0 && n.Reorder == 0), of(n.Loss > 0), of(n.Duplicate > 0)))
	}
	if n.Corrupt > 0 {
		add(attribute(nl.TCA_NETEM_CORRUPT, chance(n.Corrupt), of(true)))
	}
	if n.Reorder > 0 {
		add(attribute(nl.TCA_NETEM_REORDER, chance(n.Reorder), of(true)))
	}
	if g := n.Gilbert; g != nil {
		const gilbertElliott = 2 // NETEM_LOSS_GE: p, r, h (share that passes in the bad state), 1-k (lost in the good one)
		loss := nl.NewRtAttr(nl.TCA_NETEM_LOSS, nil)
		loss.AddRtAttr(gilbertElliott, attribute(0, chance(g.ToBad), chance(g.ToGood), chance(1-g.LossBad), chance(g.LossGood)).Data)
		add(loss)
	}
	if table := distribution(n.Distribution); n.Jitter > 0 && table != nil {
		raw := make([]byte, 0, 2*len(table))
		for _, v := range table {
			raw = binary.NativeEndian.AppendUint16(raw, uint16(v))
		}
		add(nl.NewRtAttr(nl.TCA_NETEM_DELAY_DIST, raw))
	}
	return Qdisc{Kind: "netem", Handle: handle, Options: options}
}

func (n Netem) gap() uint32 {
	if n.Reorder > 0 && n.Gap == 0 {
		return 1
	}
	return n.Gap
}

// distribution is netem's form of one: deviations from the mean in units of the jitter,
// times 8192, at equal steps of probability. Nil for the uniform one, which is its own.
func distribution(name string) []int16 {
	const (
		steps = 4096
		scale = 8192
	)
	var at func(p float64) float64
	switch name {
	case "normal":
		at = func(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
	case "pareto":
		at = pareto
	default:
		return nil
	}
	out := make([]int16, steps)
	for i := range out {
		v := scale * at((float64(i)+0.5)/steps)
		out[i] = int16(min(max(math.Round(v), math.MinInt16), math.MaxInt16))
	}
	return out
}

// pareto is the quantile of a Pareto distribution with the shape 3, moved and stretched so
// that its mean is 0 and its standard deviation 1.
func pareto(p float64) float64 {
	const shape = 3
	mean := shape / (shape - 1.0)
	deviation := math.Sqrt(shape/(shape-2.0)) / (shape - 1.0)
	return (math.Pow(1-p, -1.0/shape) - mean) / deviation
}
