package scenario

import (
	"container/heap"
	"slices"
	"strings"
)

// dependencies replaces names of whole blocks in DependsOn by those of all their
// instances, and reports cycles.
func (l *loader) dependencies(all []*Experiment) {
	names := make([]string, len(all))
	needs := map[string][]string{}
	for i, x := range all {
		var full []string
		for _, name := range x.DependsOn {
			instances := []string{name}
			if d := l.experiments.all[name]; d != nil {
				instances = d.instances()
			}
			for _, n := range instances {
				if !slices.Contains(full, n) {
					full = append(full, n)
				}
			}
		}
		x.DependsOn = full
		names[i], needs[x.Name] = x.Name, full
	}
	if cycle := findCycle(names, needs); cycle != nil {
		base, _, _ := strings.Cut(cycle[0], "[")
		at := l.experiments.all[base].block.Body.Attributes["depends_on"]
		l.error(at.Expr.Range(), "Cycle", "These experiments wait for each other: %s. One of them must not.", strings.Join(cycle, " → "))
	}
}

// findCycle returns a cycle in a graph, its first member again at its end, or nil.
func findCycle(names []string, needs map[string][]string) []string {
	state := make(map[string]visit, len(names))
	type frame struct {
		name string
		next int
	}
	for _, start := range names {
		if state[start] != unseen || len(needs[start]) == 0 {
			continue
		}
		state[start] = open
		path := []frame{{name: start}}
		for len(path) > 0 {
			top := &path[len(path)-1]
			if top.next == len(needs[top.name]) {
				state[top.name] = closed
				path = path[:len(path)-1]
				continue
			}
			to := needs[top.name][top.next]
			top.next++
			switch state[to] {
			case unseen:
				state[to] = open
				path = append(path, frame{name: to})
			case open:
				from := slices.IndexFunc(path, func(f frame) bool { return f.name == to })
				var cycle []string
				for _, f := range path[from:] {
					cycle = append(cycle, f.name)
				}
				return append(cycle, to)
			}
		}
	}
	return nil
}

// inOrder lists experiments so that each comes after those it depends on, and
// otherwise as they stand in the source. There must be no cycle.
func (l *loader) inOrder(all []*Experiment) []*Experiment {
	index := make(map[string]int, len(all))
	for i, x := range all {
		index[x.Name] = i
	}
	waits := make([]int, len(all))
	next := make([][]int, len(all))
	for i, x := range all {
		for _, name := range x.DependsOn {
			j := index[name]
			next[j] = append(next[j], i)
			waits[i]++
		}
	}
	ready := &ints{}
	for i := range all {
		if waits[i] == 0 {
			heap.Push(ready, i)
		}
	}
	ordered := make([]*Experiment, 0, len(all))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		ordered = append(ordered, all[i])
		for _, j := range next[i] {
			if waits[j]--; waits[j] == 0 {
				heap.Push(ready, j)
			}
		}
	}
	return ordered
}

// ints is a heap of positions in the source.
type ints []int

func (h ints) Len() int           { return len(h) }
func (h ints) Less(i, j int) bool { return h[i] < h[j] }
func (h ints) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *ints) Push(x any)        { *h = append(*h, x.(int)) }
func (h *ints) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
