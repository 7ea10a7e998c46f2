#include "tests/harness/test.h"

#include "runtime/cli/pod_volume.h"

static struct option_list list_of(const char *a, const char *b)
{
    return (struct option_list){ .at = { a, b }, .n = (size_t) (a != NULL) + (b != NULL) };
}

static void each_part_is_cut_out(void **state)
{
    struct option_list volumes = list_of("data=/srv/a:b/data.img:/var/lib/data:new", "in=x:/in:ro"), keys = list_of("in=kbs:///lab/key/in", NULL);
    struct pod_volumes read = { 0 };
    struct err         err;

    (void) state;
    if (!pod_volumes_read(&volumes, &keys, &read, &err))
        fail_msg("%s", err.text);
    assert_int_equal(read.n, 2);
    assert_string_equal(read.at[0].name, "data");
    assert_string_equal(read.at[0].file, "/srv/a:b/data.img");
    assert_string_equal(read.at[0].path, "/var/lib/data");
    assert_string_equal(read.at[0].key, "kbs:///default/volume/data");
    assert_true(read.at[0].format && !read.at[0].read_only);
    assert_string_equal(read.at[1].file, "x");
    assert_string_equal(read.at[1].key, "kbs:///lab/key/in");
    assert_true(read.at[1].read_only && !read.at[1].format);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct { const char *a, *b, *key, *why; } rows[] = {
        { "data", NULL, NULL, "NAME=FILE:PATH[:ro|:new] is wanted" },
        { "data=file", NULL, NULL, "PATH absolute" },
        { "data=file:rel", NULL, NULL, "PATH absolute" },
        { "data=:/x", NULL, NULL, "is wanted, each part" },
        { "=f:/x", NULL, NULL, "is wanted, each part" },
        { "aaaaaaaaaaaaaaaaa=f:/x", NULL, NULL, "is wanted, each part" },
        { "d,e=f:/x", NULL, NULL, "a name has a-z, 0-9 and, not first, -" },
        { "-d=f:/x", NULL, NULL, "a name has a-z" },
        { "d=f:/x", "d=g:/y", NULL, "--volume d: named twice" },
        { "d=f:/x", NULL, "e=kbs:///a/b/c", "NAME of a --volume" },
        { "d=f:/x", NULL, "d", "NAME of a --volume" },
        { "d=f:/x", NULL, "d=https://a", "--volume-key" },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct option_list volumes = list_of(rows[i].a, rows[i].b), keys = list_of(rows[i].key, NULL);
        struct pod_volumes read = { 0 };

        if (pod_volumes_read(&volumes, &keys, &read, &err) || !strstr(err.text, rows[i].why))
            fail_msg("row %zu: %s", i, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_is_cut_out),
        cmocka_unit_test(what_is_wrong_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
