package sqldb

import (
	"context"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"postrider/internal/auth"
	"postrider/internal/auth/guard"
)

// fake is a database with one answer.
type fake struct {
	columns []string
	found   [][]any
	err     error
	silent  bool
	asked   int
}

func (f *fake) rows(ctx context.Context, _ string) ([]string, [][]any, error) {
	f.asked++
	if f.silent {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	return f.columns, f.found, f.err
}

func (f *fake) close() {}

const (
	ann    = "ann@example.org"
	scram  = "4096,c2FsdHNhbHQ=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	digest = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
)

// Each column that can be, and each that cannot.
func TestEntry(t *testing.T) {
	for name, one := range map[string]struct {
		columns string
		row     []any
		want    *auth.Entry // nil: an error of the data
	}{
		"a hash":              {"hash", []any{"$2b$x"}, &auth.Entry{Name: ann, Hash: "$2b$x"}},
		"bytes":               {"hash", []any{[]byte("$2b$x")}, &auth.Entry{Name: ann, Hash: "$2b$x"}},
		"all are NULL":        {"hash name senders quota quota_messages disabled scram app_passwords", make([]any, 8), &auth.Entry{Name: ann}},
		"another name":        {"name", []any{"Ann.Smith@Example.ORG"}, &auth.Entry{Name: "ann.smith@example.org"}},
		"no name":             {"name", []any{"a b@@c"}, nil},
		"senders":             {"senders", []any{[]any{"Info@example.org", "@Example.com", nil, ""}}, &auth.Entry{Name: ann, Senders: []string{"info@example.org", "@example.com"}}},
		"senders in words":    {"senders", []any{"a@example.org, b@example.org\nc@example.org"}, &auth.Entry{Name: ann, Senders: []string{"a@example.org", "b@example.org", "c@example.org"}}},
		"a sender without @":  {"senders", []any{"postmaster"}, nil},
		"a sender of all":     {"senders", []any{"@"}, nil},
		"senders are numbers": {"senders", []any{[]any{int32(1)}}, nil},
		"quotas":              {"quota quota_messages", []any{int64(1 << 40), int32(-1)}, &auth.Entry{Name: ann, QuotaBytes: 1 << 40, QuotaMessages: -1}},
		"numeric":             {"quota", []any{pgtype.Numeric{Int: big.NewInt(5), Exp: 2, Valid: true}}, &auth.Entry{Name: ann, QuotaBytes: 500}},
		"fraction":            {"quota", []any{1.5}, nil},
		"whole float":         {"quota quota_messages", []any{2e9, int16(3)}, &auth.Entry{Name: ann, QuotaBytes: 2e9, QuotaMessages: 3}},
		"quota in text":       {"quota", []any{"1G"}, nil},
		"numeric NaN":         {"quota", []any{pgtype.Numeric{NaN: true, Valid: true}}, nil},
		"disabled":            {"disabled", []any{true}, &auth.Entry{Name: ann, Disabled: true}},
		"disabled in text":    {"disabled", []any{"f"}, nil},
		"bad scram":           {"scram", []any{"SCRAM-SHA-256$x"}, nil},
		"app passwords": {"app_passwords", []any{[]any{"phone;*;" + digest, "laptop;imap,smtp;" + digest + "="}}, &auth.Entry{Name: ann, AppPasswords: []auth.AppPassword{
			{Name: "phone", Digest: [32]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}},
			{Name: "laptop", Scopes: []string{"imap", "smtp"}, Digest: [32]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}},
		}}},
		"short digest":     {"app_passwords", []any{[]any{"phone;*;AAEC"}}, nil},
		"long digest":      {"app_passwords", []any{[]any{"phone;*;" + digest + "AAAA"}}, nil},
		"no protocol":      {"app_passwords", []any{[]any{"phone;http;" + digest}}, nil},
		"no digest":        {"app_passwords", []any{[]any{"phone;*"}}, nil},
		"one app password": {"app_passwords", []any{"phone;*;" + digest}, nil},
		"unknown column":   {"hash password", []any{"x", "y"}, nil},
		"column twice":     {"hash hash", []any{"x", "y"}, nil},
		"hash is a number": {"hash", []any{int32(7)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{columns: strings.Fields(one.columns), found: [][]any{one.row}}
			e, err := over(f, Options{}).Lookup(t.Context(), ann)
			var data *guard.DataError
			if one.want == nil {
				if !errors.As(err, &data) || errors.Is(err, auth.ErrUnknown) || e != nil {
					t.Errorf("got %v, %v", e, err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(e, one.want) {
				t.Errorf("got %+v, %v; want %+v", e, err, one.want)
			}
		})
	}
	f := &fake{columns: []string{"scram"}, found: [][]any{{scram}}}
	if e, err := over(f, Options{}).Lookup(t.Context(), ann); err != nil || e.Scram == nil || e.Scram.Iterations != 4096 {
		t.Errorf("got %v, %v", e, err)
	}
}

// No row is an unknown user; two rows, trouble and silence are not, and a dead
// database holds nobody for long.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{columns: []string{"hash"}}
		db := over(f, Options{Guard: guard.Options{Limits: guard.Limits{Timeout: time.Second, Failures: 2}}})
		temporary := func(what string) {
			t.Helper()
			if e, err := db.Lookup(t.Context(), ann); err == nil || errors.Is(err, auth.ErrUnknown) || e != nil {
				t.Errorf("%s: got %v, %v", what, e, err)
			}
		}
		if _, err := db.Lookup(t.Context(), ann); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("got %v", err)
		}
		f.found = [][]any{{"x"}, {"y"}}
		temporary("two rows")
		f.found, f.err = nil, errors.New("relation users does not exist")
		temporary("error")
		f.err, f.found = nil, [][]any{{"x"}}
		if _, err := db.Lookup(t.Context(), ann); err != nil {
			t.Error(err)
		}
		f.silent, f.asked = true, 0
		db.Forget()
		start := time.Now()
		for range 100 {
			temporary("silence")
		}
		if took := time.Since(start); took != 2*time.Second || f.asked != 2 {
			t.Errorf("100 lookups of a dead database took %v and %d questions", took, f.asked)
		}
	})
}

// A connection to another machine is encrypted and its certificate checked, unless
// the URL says otherwise.
func TestEncryption(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	t.Setenv("PGHOST", "")
	for url, checked := range map[string]bool{
		"postgres://u:p@db.example.org/mail":                       true,
		"postgres://u:p@db.example.org/mail?connect_timeout=3":     true,
		"postgres://u:p@db.example.org/mail?sslmode=disable":       false,
		"postgres://u:p@127.0.0.1/mail":                            false,
		"postgres://u:p@localhost/mail":                            false,
		"host=db.example.org user=u password=p dbname=mail":        true,
		"host=/run/postgresql user=u dbname=mail":                  false,
		"host=db.example.org user=u dbname=mail sslmode = disable": false,
	} {
		p, err := newPool(Options{URL: url, Query: "SELECT 1", Connections: 1})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		c := p.Config().ConnConfig
		got := c.TLSConfig != nil && !c.TLSConfig.InsecureSkipVerify && c.TLSConfig.ServerName == "db.example.org" && len(c.Fallbacks) == 0
		if got != checked {
			t.Errorf("%s: checked %v", url, got)
		}
		p.close()
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{URL: "postgres://h/d"}, {URL: "postgres://u:secret@h:port/d", Query: "SELECT $1"}} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	// A database that is down does not keep anybody from the start.
	db, err := New(Options{URL: "postgres://u:p@127.0.0.1:1/d", Query: "SELECT $1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Lookup(t.Context(), ann); err == nil || errors.Is(err, auth.ErrUnknown) || strings.Contains(err.Error(), "u:p") {
		t.Errorf("got %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
