/* `cloister policy conformance`: OPA's cases, all files below the directories given, in order of their names. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "policy/rego/conformance.h"
#include "runtime/cli/policy.h"

enum { CASE_FILE_LEN_MAX = 16 << 20, FOLDERS_DEEP_MAX = 16 };

struct run {
    const char              *file;
    bool                     v0;
    bool                     verbose;
    struct conformance_tally tally;
};

static void report(void *user, const struct conformance_report *r)
{
    const struct run  *run  = user;
    static const char *const words[] = { [CASE_PASSED] = "pass", [CASE_FAILED] = "FAIL", [CASE_SKIPPED] = "skip" };

    if (r->outcome == CASE_PASSED && !run->verbose)
        return;
    (void) printf("%s %s#%u %.*s%s%s\n", words[r->outcome], run->file, r->index, (int) r->note.len,
                  (const char *) r->note.at, r->why ? ": " : "", r->why ? r->why : "");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0;
}

static int is_shown(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* OPA keeps the cases of the old syntax in a folder named v0. */
static bool is_v0_folder(const char *name)
{
    return strcmp(name, "v0") == 0 || strncmp(name, "v0-", 3) == 0;
}

static FALLIBLE run_file(struct run *run, const char *path, bool v0, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    run->file = path;
    if (!file_read(path, CASE_FILE_LEN_MAX, &text, err))
        return false;
    return conformance_run(buffer_bytes(&text), v0, &run->tally, report, run, err) || contextf(err, "%s", path);
}

static FALLIBLE run_below(struct run *run, const char *path, bool v0, unsigned depth, struct err *err);

static FALLIBLE run_entry(struct run *run, const char *path, const char *name, bool v0, unsigned depth, struct err *err)
{
    AUTO(text) char *below = NULL;
    struct stat      status;

    if (asprintf(&below, "%s/%s", path, name) < 0)
        return err_os(err, "%s", path);
    if (stat(below, &status) != 0)
        return err_os(err, "%s", below);
    if (S_ISDIR(status.st_mode))
        return run_below(run, below, v0 || is_v0_folder(name), depth + 1, err);
    return !ends_with(name, ".json") || run_file(run, below, v0, err);
}

static FALLIBLE run_below(struct run *run, const char *path, bool v0, unsigned depth, struct err *err)
{
    struct dirent **entries = NULL;
    bool            ok      = true;

    if (depth > FOLDERS_DEEP_MAX)
        return fail_with(err, ERR_LIMIT, "%s: folders too deep", path);
    int n = scandir(path, &entries, is_shown, by_name);
    if (n < 0)
        return errno == ENOTDIR ? run_file(run, path, v0, err) : err_os(err, "%s", path);
    for (int i = 0; i < n; i++) {
        ok = ok && run_entry(run, path, entries[i]->d_name, v0, depth, err);
        free(entries[i]);
    }
    free(entries);
    return ok;
}

static bool path_is_v0(const char *path)
{
    for (const char *at = path; *at; at++)
        if ((at == path || at[-1] == '/') && strncmp(at, "v0", 2) == 0 && (at[2] == '\0' || at[2] == '/' || at[2] == '-'))
            return true;
    return false;
}

int policy_conformance(int argc, char **argv)
{
    struct run                run     = { 0 };
    const struct option_row   rows[]  = {
        { .name = "v0", .kind = OPTION_FLAG, .into = &run.v0, .help = "the syntax before OPA 1.0 (the default below folders named v0)" },
        { .name = "verbose", .kind = OPTION_FLAG, .into = &run.verbose, .help = "also list what passed" },
    };
    const struct option_table table = { .command = "cloister policy conformance", .synopsis = "[OPTION]... DIR...",
        .about = "Runs cases in the form of OPA's conformance suite, as JSON. Lists what failed, and what was skipped "
                 "because a policy names a built-in function that this engine lacks; the last line has the counts.",
        .rows = rows, .n_rows = sizeof rows / sizeof rows[0] };
    enum options_outcome      outcome;
    char                    **operands;
    size_t                    n;
    struct err                err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err))
        return policy_fail("conformance", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (n == 0) {
        (void) fail_with(&err, ERR_CONFIG, "one DIR or more is wanted; see cloister policy conformance --help"); /* told next */
        return policy_fail("conformance", &err);
    }
    for (size_t i = 0; i < n; i++)
        if (!run_below(&run, operands[i], run.v0 || path_is_v0(operands[i]), 0, &err))
            return policy_fail("conformance", &err);
    (void) printf("%llu passed, %llu failed, %llu skipped\n", (unsigned long long) run.tally.passed,
                  (unsigned long long) run.tally.failed, (unsigned long long) run.tally.skipped);
    return run.tally.failed > 0 ? POLICY_EXIT_NO : 0;
}
