package scenario

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
)

// large is a scenario of n experiments, each with a fault and a target of its own.
func large(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`
scenario "large" {
  title = "many experiments"
}
locals {
  base = "http://127.0.0.1:8080"
}
probe "http" "checkout" {
  url  = "${local.base}/checkout"
  rate = 100
}
steady_state "checkout" {
  objective "available" {
    probe  = probe.http.checkout
    good   = sample.ok
    target = 0.99
  }
}
`)
	for i := range n {
		fmt.Fprintf(&b, `
target "docker_container" "web%[1]d" {
  match { label = { "app" = "web-%[1]d" } }
}
experiment "lose-%[1]d" {
  hypothesis   = "When one of web %[1]d dies, customers notice nothing"
  steady_state = [steady_state.checkout]
  fault "docker_kill" "web" {
    target   = target.docker_container.web%[1]d
    duration = "20s"
  }
}
`, i)
	}
	return b.Bytes()
}

// BenchmarkLoadLarge loads 10,000 experiments from one file; parse-only is the floor
// that HCL sets.
func BenchmarkLoadLarge(b *testing.B) {
	text := large(10_000)
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := mustLoad(b, string(text), Options{})
			if len(s.Experiments) != 10_000 {
				b.Fatalf("%d experiments", len(s.Experiments))
			}
			b.StopTimer()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapAlloc)/1e6, "MB-kept")
			runtime.KeepAlive(s)
			b.StartTimer()
		}
	})
	b.Run("parse-only", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := &source{path: "large.hcl", text: text}
			if diags := s.parse(); diags.HasErrors() {
				b.Fatal(diags)
			}
		}
	})
}

func BenchmarkLoadSmall(b *testing.B) {
	text := string(Starter("small"))
	b.ReportAllocs()
	for b.Loop() {
		mustLoad(b, text, Options{})
	}
}
