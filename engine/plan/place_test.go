package plan

import (
	"testing"

	"github.com/faultline-go/faultline/engine/scenario"
)

func TestPlaces(t *testing.T) {
	place := places([]scenario.File{
		{Path: "/srv/days/monday.hcl"},
		{Path: "/usr/share/monkey.hcl", Name: "catalog:chaos-monkey/monkey.hcl"},
	})
	for pos, want := range map[string]string{
		"/srv/days/monday.hcl:12":                             "monday.hcl:12",
		"/srv/days/monday.hcl:12, in /usr/share/monkey.hcl:3": "monday.hcl:12",
		"/usr/share/monkey.hcl:3":                             "catalog:chaos-monkey/monkey.hcl:3",
		"/elsewhere.hcl:1":                                    "",
		"":                                                    "",
	} {
		if got := place(pos); got != want {
			t.Errorf("%q is at %q, want %q", pos, got, want)
		}
	}
}
