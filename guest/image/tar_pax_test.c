#include "tests/harness/test.h"
#include "guest/image/tar_pax.h"

static bool read_text(const char *text, size_t len, enum pax_scope scope, struct pax *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(text, len);
    bool                ok    = pax_read((struct bytes){ exact, len }, scope, out, err);

    /* the views die with the copy; what is looked at below are numbers */
    return ok;
}

static void reads_each_record(void **state)
{
    static const char    TEXT[] = "12 path=a/b\n14 linkpath=t\n9 size=5\n9 uid=17\n8 gid=2\n15 mtime=-1.25\n"
                                  "26 SCHILY.xattr.user.a=bb\n13 comment=x\n";
    AUTO(pax) struct pax p = { 0 };
    struct err           err;

    (void) state;
    if (!pax_read(bytes_of_text(TEXT), PAX_ONE_FILE, &p, &err))
        fail_msg("%s", err.text);
    assert_true(p.has_path && bytes_equal(p.path, bytes_of_text("a/b")));
    assert_true(p.has_link && bytes_equal(p.link, bytes_of_text("t")));
    assert_true(p.has_size && p.size == 5 && p.has_uid && p.uid == 17 && p.has_gid && p.gid == 2);
    assert_true(p.has_mtime && p.mtime == -2 && p.mtime_ns == 750000000);
    assert_int_equal(p.n_xattrs, 1);
    assert_true(bytes_equal(p.xattrs[0].name, bytes_of_text("user.a")));
    assert_true(bytes_equal(p.xattrs[0].value, bytes_of_text("bb")));
    assert_false(p.is_sparse);
}

static void reads_sparse_maps_of_both_early_forms(void **state)
{
    static const char *const TEXTS[] = {
        "22 GNU.sparse.size=99\n23 GNU.sparse.offset=0\n25 GNU.sparse.numbytes=4\n24 GNU.sparse.offset=90\n25 GNU.sparse.numbytes=9\n",
        "22 GNU.sparse.size=99\n27 GNU.sparse.map=0,4,90,9\n",
    };

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(pax) struct pax p = { 0 };
        struct err           err;

        if (!pax_read(bytes_of_text(TEXTS[i]), PAX_ONE_FILE, &p, &err))
            fail_msg("%zu: %s", i, err.text);
        assert_true(p.is_sparse && p.has_real_size && p.real_size == 99);
        assert_int_equal(p.n_extents, 2);
        assert_true(p.extents[0].offset == 0 && p.extents[0].len == 4 && p.extents[1].offset == 90 && p.extents[1].len == 9);
    }
}

static void refuses_records_by_their_one_defect(void **state)
{
    static const struct { const char *text; size_t len; enum err_kind kind; const char *why; } CASES[] = {
        { "path=a\n", 0, ERR_MALFORMED, "without a length" },
        { "x path=a\n", 0, ERR_MALFORMED, "without a length" },
        { "-1 path=a\n", 0, ERR_MALFORMED, "without a length" },
        { "3 \n", 0, ERR_MALFORMED, "without a length" },
        { "99 path=a\n", 0, ERR_MALFORMED, "length is wrong" },
        { "8 path=a\n", 0, ERR_MALFORMED, "length is wrong" },
        { "18446744073709551626 path=a\n", 0, ERR_MALFORMED, "without a length" },
        { "5 ab\n", 0, ERR_MALFORMED, "without a name" },
        { "5 =b\n", 0, ERR_MALFORMED, "without a name" },
        { "12 path=a\0b\n", 12, ERR_MALFORMED, "\"path\": a zero byte" },
        { "8 size=\n", 0, ERR_MALFORMED, "\"size\": an empty number" },
        { "9 size=a\n", 0, ERR_MALFORMED, "\"size\": not a decimal" },
        { "28 size=9223372036854775808\n", 0, ERR_MALFORMED, "\"size\": not a decimal" },
        { "18 uid=4294967296\n", 0, ERR_MALFORMED, "\"uid\": not a decimal" },
        { "13 mtime=1.x\n", 0, ERR_MALFORMED, "\"mtime\": not a time" },
        { "12 mtime=--\n", 0, ERR_MALFORMED, "\"mtime\": not a decimal" },
        { "18 SCHILY.xattr.=\n", 0, ERR_MALFORMED, "\"SCHILY.xattr.\": the name" },
        { "23 GNU.sparse.offset=0\n", 0, ERR_MALFORMED, "offset without a length" },
        { "25 GNU.sparse.numbytes=4\n", 0, ERR_MALFORMED, "misplaced sparse" },
        { "22 GNU.sparse.major=2\n", 0, ERR_MALFORMED, "\"GNU.sparse.major\": not a decimal" },
        { "18 GNU.sparse.x=1\n", 0, ERR_MALFORMED, "unknown or misplaced" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(pax) struct pax p   = { 0 };
        size_t               len = CASES[i].len ? CASES[i].len : strlen(CASES[i].text);
        struct err           err;

        if (read_text(CASES[i].text, len, PAX_ONE_FILE, &p, &err))
            fail_msg("case %zu was taken", i);
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
    }
}

static void keeps_to_the_limits(void **state)
{
    AUTO(buffer) struct buffer path = { 0 }, attributes = { 0 }, map = { 0 };
    AUTO(pax) struct pax       a = { 0 }, b = { 0 }, c = { 0 };
    struct err                 err;

    (void) state;
    buffer_append_text(&path, "4107 path=");
    memset(buffer_grow(&path, 4096), 'p', 4096);
    buffer_append_text(&path, "\n");
    assert_false(read_text(buffer_text(&path), path.len, PAX_ONE_FILE, &a, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    for (int i = 0; i <= TAR_XATTRS_MAX; i++)
        buffer_append_text(&attributes, "25 SCHILY.xattr.user.a=b\n");
    assert_false(read_text(buffer_text(&attributes), attributes.len, PAX_ONE_FILE, &b, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    buffer_append_text(&map, "262163 GNU.sparse.map=");
    for (int i = 0; i <= TAR_EXTENTS_MAX; i++)
        buffer_append_text(&map, "0,0,");
    map.at[map.len - 1] = '\n';
    buffer_append_text(&map, "");
    AUTO(buffer) struct buffer exact = { 0 };

    buffer_printf(&exact, "%zu GNU.sparse.map=", map.len);
    buffer_append(&exact, (struct bytes){ map.at + 22, map.len - 22 });
    assert_int_equal(exact.len, map.len);
    assert_false(read_text(buffer_text(&exact), exact.len, PAX_ONE_FILE, &c, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void lets_a_global_header_change_nothing(void **state)
{
    AUTO(pax) struct pax p = { 0 }, q = { 0 };
    struct err           err;

    (void) state;
    assert_true(read_text("13 comment=x\n", 13, PAX_GLOBAL, &p, &err));
    assert_false(read_text("9 path=a\n", 9, PAX_GLOBAL, &q, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_string_equal(err.text, "a global extended header sets \"path\"");
}

static void refuses_every_truncation(void **state)
{
    static const char TEXT[] = "12 path=a/b\n"; /* cut anywhere, no record is whole */

    (void) state;
    for (size_t len = 1; len < sizeof TEXT - 1; len++) {
        AUTO(pax) struct pax p = { 0 };
        struct err           err;

        assert_false(read_text(TEXT, len, PAX_ONE_FILE, &p, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_record),
        cmocka_unit_test(reads_sparse_maps_of_both_early_forms),
        cmocka_unit_test(refuses_records_by_their_one_defect),
        cmocka_unit_test(keeps_to_the_limits),
        cmocka_unit_test(lets_a_global_header_change_nothing),
        cmocka_unit_test(refuses_every_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
