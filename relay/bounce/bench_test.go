package bounce_test

import (
	"testing"

	"postrider/relay/bounce"
)

func BenchmarkCompose(b *testing.B) {
	templates, err := bounce.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	for name, t := range map[string]*bounce.Templates{"loaded": templates, "none": nil} {
		b.Run(name, func(b *testing.B) {
			n := notice(bounce.Failure, "a@example.org", "b@example.net")
			n.Templates = t
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				if dst, _, err = bounce.Compose(dst[:0], n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
