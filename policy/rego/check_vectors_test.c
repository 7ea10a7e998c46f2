/* Modules that must compile, or be refused with OPA's code; and OPA's cases of places and texts of errors. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "policy/rego/json.h"
#include "policy/rego/policy.h"
#include "tests/harness/test.h"

enum { MODULES_MAX = 16 };

static const char *vectors(void)
{
    const char *path = getenv("CLOISTER_VECTORS");

    return path ? path : "../shared/vectors";
}

static struct value read_cases(struct arena *a, struct buffer *text, const char *name)
{
    struct value all = value_undefined();
    char         path[2048];
    struct err   err;

    (void) snprintf(path, sizeof path, "%s/rego/%s", vectors(), name);
    assert_true(file_read(path, 16 << 20, text, &err));
    assert_true(json_text_read(a, buffer_bytes(text), &all, &err));
    return object_get_text(all, "cases");
}

static bool check(struct value test, bool v0, struct rego_diagnostics *why)
{
    static const char *const paths[MODULES_MAX] = { "0.rego", "1.rego", "2.rego", "3.rego" };
    struct rego_text         texts[MODULES_MAX];
    struct value             modules = object_get_text(test, "modules");
    struct rego_options      how     = { .v0 = v0, .print = true };
    struct err               err;

    assert_in_range(value_count(modules), 1, 4);
    for (uint32_t i = 0; i < value_count(modules); i++) {
        struct value m = array_at(modules, i);

        texts[i] = (struct rego_text){ paths[i], { (const uint8_t *) m.text, m.len } };
    }
    return rego_check(texts, value_count(modules), &how, why, &err);
}

static void show(struct value test, const struct rego_diagnostics *why)
{
    struct value note = object_get_text(test, "note");

    printf("%.*s:\n", (int) note.len, note.text);
    for (uint32_t i = 0; i < why->n; i++)
        printf("    got %u:%u %s: %s\n", why->at[i].row, why->at[i].col, why->at[i].code, why->at[i].message);
}

static void accepts_and_refuses_as_opa_does(void **state)
{
    AUTO(arena) struct arena   memory = arena_of(16 << 20);
    AUTO(buffer) struct buffer text   = { 0 };
    struct value               cases  = read_cases(&memory, &text, "own/check-cases.json");
    unsigned                   wrong  = 0;

    (void) state;
    assert_int_equal(value_count(cases), 125);
    for (uint32_t i = 0; i < value_count(cases); i++) {
        struct value            test = array_at(cases, i);
        struct value            code = object_get_text(test, "want_error_code");
        struct rego_diagnostics why;

        if (value_is_defined(object_get_text(test, "static_type")))
            continue; /* OPA's static types are left out on purpose: see the README */
        bool ok = check(test, value_is_named(object_get_text(test, "mode"), "v0"), &why);
        if (value_is(code, VALUE_STRING) ? ok || !value_is_named(code, why.at[0].code) : !ok) {
            show(test, &why);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void all_errors_stand_where_opa_puts_them(const char *file, bool v0)
{
    AUTO(arena) struct arena   memory = arena_of(16 << 20);
    AUTO(buffer) struct buffer text   = { 0 };
    struct value               cases  = read_cases(&memory, &text, file);

    for (uint32_t i = 0; i < value_count(cases); i++) {
        struct value            test = array_at(cases, i);
        struct value            want = object_get_text(test, "want_errors");
        struct rego_diagnostics why;

        assert_false(check(test, v0, &why));
        if (why.n != value_count(want))
            show(test, &why);
        assert_int_equal(why.n, value_count(want));
        for (uint32_t j = 0; j < why.n; j++) {
            struct value e = array_at(want, j);

            if (!value_is_named(object_get_text(e, "message"), why.at[j].message))
                show(test, &why);
            assert_true(value_is_named(object_get_text(e, "message"), why.at[j].message));
            assert_true(value_is_named(object_get_text(e, "code"), why.at[j].code));
            assert_int_equal(object_get_text(e, "row").integer, why.at[j].row);
            assert_int_equal(object_get_text(e, "col").integer, why.at[j].col);
        }
    }
}

static void errors_of_v1_stand_where_opa_puts_them(void **state)
{
    (void) state;
    all_errors_stand_where_opa_puts_them("compile/v1/print/test-print-undeclared-var.json", false);
    all_errors_stand_where_opa_puts_them("compile/v1/safety/test-safety-unsafe-var.json", false);
    all_errors_stand_where_opa_puts_them("compile/v1/safety/test-safety-unsafe-var-cascade.json", false);
    all_errors_stand_where_opa_puts_them("compile/v1/safety/test-safety-unsafe-var-shared-lines.json", false);
}

static void errors_of_v0_stand_where_opa_puts_them(void **state)
{
    (void) state;
    all_errors_stand_where_opa_puts_them("compile/v0/safety/test-safety-unsafe-var-shared-lines.json", true);
}

int main(void)
{
    char path[2048];

    (void) snprintf(path, sizeof path, "%s/rego", vectors());
    if (access(path, R_OK) != 0) {
        printf("no vectors at %s\n", path);
        return 77;
    }

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_refuses_as_opa_does),
        cmocka_unit_test(errors_of_v1_stand_where_opa_puts_them),
        cmocka_unit_test(errors_of_v0_stand_where_opa_puts_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
