package report

import (
	"encoding/xml"
	"html"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"postrider/bench/result"
)

func pageOf(t *testing.T, f *result.File, o Options) string {
	t.Helper()
	return text(t, func(b *strings.Builder) error { return HTML(b, f, o) })
}

// void are the elements of HTML without an end.
var void = regexp.MustCompile(`<(meta|br|hr)([^>]*)>`)

// checkPage reads a page as XML, which is stricter than HTML: every element ends,
// every attribute is quoted. It returns the number of each element.
func checkPage(t *testing.T, page string) map[string]int {
	t.Helper()
	if !utf8.ValidString(page) {
		t.Error("the page is not UTF-8")
	}
	d := xml.NewDecoder(strings.NewReader(void.ReplaceAllString(strings.TrimPrefix(page, "<!doctype html>"), "<$1$2/>")))
	d.Entity = xml.HTMLEntity
	elements := map[string]int{}
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return elements
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			elements[e.Name.Local]++
			for _, a := range e.Attr {
				if name := a.Name.Local; name == "src" || name == "href" || name == "style" || strings.HasPrefix(name, "on") {
					t.Errorf("<%s> has the attribute %s=%q", e.Name.Local, name, a.Value)
				}
			}
		}
	}
}

func TestPage(t *testing.T) {
	f := fixture(6, postriderLike(), postfixLike())
	page := pageOf(t, f, Options{})
	n := checkPage(t, page)
	// Eight charts for both servers, two heat maps, two plots for each of twelve runs.
	if n["figure"] != 8+2+24 || n["script"] != 0 || n["link"] != 0 || n["img"] != 0 || n["style"] != 1 {
		t.Errorf("elements %v", n)
	}
	for _, foreign := range []string{"http:", "https:", "@import", "url(", "NaN", "Inf", "ZgotmplZ", "%!", "<no value>"} {
		if at := strings.Index(page, foreign); at >= 0 {
			t.Errorf("%q in the page: %s", foreign, page[max(0, at-80):min(len(page), at+80)])
		}
	}
	for _, want := range []string{
		"postfix:isp", "3.7.11 · 6 runs", "noisy machine (1 of 6 runs)", "messages/CPU-s", ">D3<", ">better<", "p=0.002, n=6+6", "no difference shown", "by audits",
		"Acceptance by percentile", ">99.99%<", "greylist 60s, 5% 451", "+ LOST", "Example 9000 at 2.4 GHz", "hostname = bench.test", "# what a relay does all day",
		"prefers-color-scheme: dark", "@media print", "warmup", "30.0 s, then 2.40 s until nothing was owed",
	} {
		if !strings.Contains(html.UnescapeString(page), want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(page, `role="alert"`) {
		t.Error("an alarm for runs that are well")
	}
	if len(page) > 1<<20 {
		t.Errorf("the page of twelve short runs has %d bytes", len(page))
	}
}

func TestPageAlarms(t *testing.T) {
	f := fixture(6, postriderLike())
	f.Runs[1].Ledger.Lost, f.Runs[1].Ledger.Corrupted = 3, 1
	f.Runs[2].Failed = []string{"accept p99 312 ms, at most 250 ms"}
	page := pageOf(t, f, Options{})
	checkPage(t, page)
	for _, want := range []string{"steady, postrider: 3 duties lost", "steady, postrider: 1 duties corrupted", "steady, postrider, run 2: accept p99 312 ms, at most 250 ms"} {
		if !strings.Contains(page, `<p class="alarm" role="alert">`+want+"</p>") {
			t.Errorf("no alarm %q", want)
		}
	}
}

// Text from outside stays text, wherever it is shown.
func TestPageOfHostileNames(t *testing.T) {
	const evil = "</title></style></pre><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{.}}\x00\xff"
	f := fixture(6, postriderLike(), postfixLike())
	f.Machine.CPU, f.Tool.Version = evil, evil
	for i := range f.Runs {
		r := &f.Runs[i]
		r.Scenario, r.Settings = evil, evil
		r.Target.Name += evil
		r.Target.Version, r.Target.Config, r.Target.ClassBy = evil, evil, evil
		r.Stamps, r.Failed = []string{evil}, []string{evil}
		r.Load.Model, r.Cost.By, r.Cost.SyncsBy = evil, evil, evil
		r.Domains[0].Name, r.Domains[0].Policy = evil, evil
		r.Access = []result.AccessResult{{Protocol: evil, Workload: evil, Operation: evil}}
		r.Values = []result.Value{{Name: evil, Unit: evil, Note: evil}}
		for j := range r.Intervals {
			r.Intervals[j].Phase = evil
		}
	}
	for _, o := range []Options{{}, {Mixed: true}} {
		page := pageOf(t, f, o)
		n := checkPage(t, strings.ReplaceAll(page, "\uFFFD", "?"))
		if n["script"] != 0 || n["img"] != 0 || strings.Contains(page, "<script") || strings.Contains(page, "<img") {
			t.Error("a name became markup")
		}
	}
}

// Classes that promise different things share no chart and no ratio.
func TestPageOfMixedClasses(t *testing.T) {
	fast := postfixLike()
	fast.name, fast.class = "amnesia", "D0"
	f := fixture(6, postriderLike(), fast)
	page := pageOf(t, f, Options{})
	n := checkPage(t, page)
	if n["figure"] != 2*(8+1)+24 || !strings.Contains(page, "promise different things") || strings.Contains(page, "÷ <i") {
		t.Errorf("%d figures; separate: %v; ratios: %v", n["figure"], strings.Contains(page, "promise different things"), strings.Contains(page, "÷ <i"))
	}
	page = pageOf(t, f, Options{Mixed: true})
	n = checkPage(t, page)
	if n["figure"] != 8+2+24 || !strings.Contains(page, "WARNING") || !strings.Contains(page, "÷ <i") {
		t.Errorf("mixed: %d figures", n["figure"])
	}
}

// Files with little in them make pages with little in them.
func TestPageOfLittle(t *testing.T) {
	one := fixture(1, postriderLike())
	bare := *one
	bare.Runs = []result.Run{{Scenario: "x", Target: result.Target{Name: "y"}}}
	access := bare
	access.Runs = []result.Run{{Scenario: "pop3", Target: result.Target{Name: "dovecot"}, Access: []result.AccessResult{{Protocol: "POP3", Workload: "poll", Operation: "RETR", Count: 10, Errors: 1}}}}
	single := fixture(1, postriderLike())
	single.Runs[0].Intervals = single.Runs[0].Intervals[:1]
	for name, f := range map[string]*result.File{"nothing": {}, "one run": one, "a bare run": &bare, "access alone": &access, "one interval": single} {
		page := pageOf(t, f, Options{})
		checkPage(t, page)
		if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
			t.Errorf("%s: no numbers in the page", name)
		}
		if name == "access alone" && !strings.Contains(page, "POP3 RETR") {
			t.Errorf("%s: no table of it", name)
		}
	}
}

// Writing is an error when the reader is gone.
func TestPageNowhere(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/x")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := HTML(f, fixture(1, postriderLike()), Options{}); err == nil {
		t.Error("written to a closed file")
	}
}
