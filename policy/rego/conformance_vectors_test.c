/* OPA's conformance suite: no case of the tiers `must` and `should` may fail or be skipped, and counts do not fall. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "policy/rego/conformance.h"
#include "policy/rego/json.h"
#include "tests/harness/test.h"

enum { V1_PASSED = 1636, V0_PASSED = 1392, ALLOWED_AMISS = 0 }; /* at least; raised with every built-in */
enum { MISSING_MAX = 128 };

/* Why cases of the tier `later` are skipped: each built-in function that is not here. */
struct missing {
    char     why[120];
    unsigned n_cases;
};

struct suite {
    const char  *name;
    bool         v0;
    struct value tiers; /* of this suite */
    const char  *category;
    char         file[128];
    unsigned     passed;
    unsigned     failed;
    unsigned     amiss; /* must or should, and not passed */
    unsigned     n_first;      /* cases of must and should */
    unsigned     later_passed;
    struct missing missing[MISSING_MAX];
};

static const char *vectors(void)
{
    const char *path = getenv("CLOISTER_VECTORS");

    return path ? path : "../shared/vectors";
}

/* must, should or later: the category's, unless the case is listed by itself. */
static bool is_later(const struct suite *s, uint32_t index)
{
    char         id[512];
    struct value overrides = object_get_text(s->tiers, "case_overrides");
    struct value by_tier   = object_get_text(object_get_text(s->tiers, "categories"), "later");

    (void) snprintf(id, sizeof id, "%s/%s/%s#%u", s->name, s->category, s->file, index);
    struct value own = value_is(overrides, VALUE_OBJECT) ? object_get_text(overrides, id) : value_undefined();
    if (value_is(own, VALUE_STRING))
        return value_is_named(own, "later");
    return value_is_defined(object_get_text(by_tier, s->category));
}

static void note_missing(struct suite *s, const char *why)
{
    size_t i = 0;

    while (i < MISSING_MAX - 1 && s->missing[i].n_cases > 0 && strcmp(s->missing[i].why, why) != 0)
        i++;
    (void) snprintf(s->missing[i].why, sizeof s->missing[i].why, "%.119s", why);
    s->missing[i].n_cases++;
}

/* Lines that ./check shows at its end. */
static void tell(const struct suite *s)
{
    printf("conformance %s: must and should %u of %u passed; later %u passed\n", s->name, s->n_first - s->amiss, s->n_first, s->later_passed);
    for (size_t i = 0; i < MISSING_MAX && s->missing[i].n_cases > 0; i++)
        printf("conformance %s: later, %u skipped: %s\n", s->name, s->missing[i].n_cases, s->missing[i].why);
}

static void count(void *user, const struct conformance_report *r)
{
    struct suite *s = user;

    s->passed += r->outcome == CASE_PASSED;
    s->failed += r->outcome == CASE_FAILED;
    if (is_later(s, r->index)) {
        s->later_passed += r->outcome == CASE_PASSED;
        if (r->outcome == CASE_SKIPPED)
            note_missing(s, r->why);
        return;
    }
    s->n_first++;
    if (r->outcome == CASE_PASSED)
        return;
    s->amiss++;
    printf("%s %s/%s/%s#%u: %s\n", r->outcome == CASE_FAILED ? "failed" : "skipped", s->name, s->category, s->file, r->index, r->why);
}

static void run_category(struct suite *s, const char *path)
{
    AUTO(dir) DIR *dir = opendir(path);

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        AUTO(buffer) struct buffer text  = { 0 };
        struct conformance_tally   tally = { 0 };
        char                       file[8192];
        struct err                 err;

        if (!strstr(entry->d_name, ".json"))
            continue;
        (void) snprintf(s->file, sizeof s->file, "%.127s", entry->d_name);
        (void) snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        assert_true(file_read(file, 16 << 20, &text, &err));
        assert_true(conformance_run(buffer_bytes(&text), s->v0, &tally, count, s, &err));
    }
}

static void run_suite(const char *name, bool v0, unsigned at_least)
{
    AUTO(buffer) struct buffer text   = { 0 };
    AUTO(arena) struct arena   memory = arena_of(64 << 20);
    struct suite               s      = { .name = name, .v0 = v0 };
    struct value               tiers;
    char                       path[2048], category[4096];
    struct err                 err;

    (void) snprintf(path, sizeof path, "%s/rego/tiers.json", vectors());
    assert_true(file_read(path, 16 << 20, &text, &err));
    assert_true(json_text_read(&memory, buffer_bytes(&text), &tiers, &err));
    s.tiers = object_get_text(object_get_text(tiers, "suites"), name);
    (void) snprintf(path, sizeof path, "%s/rego/%s", vectors(), name);
    AUTO(dir) DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        s.category = entry->d_name;
        (void) snprintf(category, sizeof category, "%s/%s", path, entry->d_name);
        run_category(&s, category);
    }
    tell(&s);
    assert_int_equal(s.failed, 0);
    assert_in_range(s.amiss, 0, ALLOWED_AMISS);
    assert_in_range(s.passed, at_least, 100000);
}

static void v1_holds(void **state)
{
    (void) state;
    run_suite("v1", false, V1_PASSED);
}

static void v0_holds(void **state)
{
    (void) state;
    run_suite("v0", true, V0_PASSED);
}

int main(void)
{
    char path[2048];

    (void) snprintf(path, sizeof path, "%s/rego", vectors());
    if (access(path, R_OK) != 0) {
        printf("no vectors at %s\n", path);
        return 77;
    }

    const struct CMUnitTest tests[] = { cmocka_unit_test(v1_holds), cmocka_unit_test(v0_holds) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
