package bench

import (
	"slices"
	"testing"

	"postrider/bench/result"
)

// What is left at the end keeps every count, and gives no interval of its own.
func TestFold(t *testing.T) {
	last := result.Interval{At: 8, Phase: "load", Sent: 10, Accepted: 9, Delivered: 8, Missed: 1, Queued: 5, Heat: []int64{1, 2}}
	fold(&last, &result.Interval{At: 8.03, Phase: "drain", Sent: 3, Accepted: 4, Delivered: 5, Missed: 2, Queued: 0, Heat: []int64{3, 4}, Response: result.Latency{Count: 4}})
	if last.At != 8.03 || last.Phase != "load" || last.Sent != 13 || last.Accepted != 13 || last.Delivered != 13 || last.Missed != 3 || last.Queued != 0 {
		t.Errorf("%+v", last)
	}
	if !slices.Equal(last.Heat, []int64{4, 6}) || last.Response.Count != 4 {
		t.Errorf("%+v", last)
	}
	fold(&last, &result.Interval{At: 9, Response: result.Latency{Count: 7}})
	if !slices.Equal(last.Heat, []int64{4, 6}) || last.Response.Count != 4 {
		t.Errorf("an empty rest changes latencies: %+v", last)
	}
	none := result.Interval{At: 1}
	fold(&none, &result.Interval{At: 2, Heat: []int64{1}, EndToEnd: result.Latency{Count: 2}})
	if !slices.Equal(none.Heat, []int64{1}) || none.EndToEnd.Count != 2 {
		t.Errorf("%+v", none)
	}
}
