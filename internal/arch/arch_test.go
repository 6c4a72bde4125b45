package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// imports calls yield for every import of the project's source.
func imports(t *testing.T, yield func(pkg, file, imported string, spec *ast.ImportSpec, isTest bool)) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != root && (base == "testdata" || base == "vendor" || base == "tools" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if os.IsNotExist(err) { // written and removed while we walk
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			yield(path.Dir(filepath.ToSlash(rel)), rel, imported, spec, strings.HasSuffix(base, "_test.go"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The source imports what the table allows. Tests may import more: they prove
// parts against each other.
func TestImportTable(t *testing.T) {
	table, heavy := allowed(), confined()
	n := 0
	imports(t, func(pkg, file, imported string, spec *ast.ImportSpec, isTest bool) {
		n++
		if isTest {
			return
		}
		if spec.Name != nil && (spec.Name.Name == "_" || spec.Name.Name == ".") {
			t.Errorf("%s: import %s %q: nothing is wired by an import", file, spec.Name.Name, imported)
		}
		if ours, ok := strings.CutPrefix(imported, Module+"/"); ok {
			list, known := lookup(table, pkg)
			if !known {
				t.Errorf("%s: package %s is not in the import table", file, pkg)
			} else if !matches(list, ours) {
				t.Errorf("%s: %s may not import %s", file, pkg, ours)
			}
			return
		}
		for prefix, users := range heavy {
			if strings.HasPrefix(imported, prefix) && !matches(users, pkg) {
				t.Errorf("%s: %s may not import %s: only %s may", file, pkg, imported, users)
			}
		}
	})
	if n < 50 {
		t.Errorf("only %d imports were seen", n)
	}
}

// No chain of the table leads back to where it began, and the trees that must
// not know each other do not, by whatever way.
func TestTableHasNoCycles(t *testing.T) {
	table := allowed()
	reach := make(map[string]map[string]bool)
	var visit func(pkg string, above []string) map[string]bool
	visit = func(pkg string, above []string) map[string]bool {
		for _, a := range above {
			if a == pkg {
				t.Fatalf("a cycle: %s", strings.Join(append(above, pkg), " -> "))
			}
		}
		if r := reach[pkg]; r != nil {
			return r
		}
		all := map[string]bool{}
		for other := range table {
			if other == pkg || !matches(table[pkg], strings.TrimSuffix(other, "/*")) {
				continue
			}
			all[other] = true
			for deep := range visit(other, append(above, pkg)) {
				all[deep] = true
			}
		}
		reach[pkg] = all
		return all
	}
	for pkg := range table {
		visit(pkg, nil)
	}
	for _, pair := range [][2]string{
		{"relay", "delivery"}, {"delivery", "relay"}, {"delivery", "queue"}, {"queue", "relay"}, {"queue", "delivery"},
		{"access/imap", "relay"}, {"access/pop3", "relay"}, {"access/imap", "queue"}, {"access/imap", "delivery"},
		{"relay", "internal/config"}, {"queue", "internal/config"}, {"delivery", "internal/config"},
		{"bench", "queue"}, {"bench", "relay/smtpd"}, {"bench", "relay/outbound"}, {"bench", "delivery/mailbox"},
		{"relay", "internal/admin"}, {"internal/admin", "queue"},
	} {
		if reach[pair[0]][pair[1]] {
			t.Errorf("%s reaches %s", pair[0], pair[1])
		}
	}
}
