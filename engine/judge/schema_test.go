package judge

import (
	"encoding/json"
	"testing"

	"github.com/faultline-go/faultline/engine/report/schema/schematest"
)

// Whatever comes out of a run follows the published schema.
func TestResultsFollowTheSchema(t *testing.T) {
	s := schematest.Strict(t, "report")
	for name, tell := range stories {
		t.Run(name, func(t *testing.T) {
			events := tell().events
			for n := 1; n <= len(events); n++ { // also of a run that goes on
				r, err := FoldEvents(events[:n])
				if err != nil {
					t.Fatal(err)
				}
				raw, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				schematest.Check(t, s, raw)
			}
		})
	}
}
