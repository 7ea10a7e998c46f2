#include "tests/harness/test.h"
#include "guest/image/entry_path.h"

static void makes_names_relative_and_splits_them(void **state)
{
    static const struct { const char *name, *parent, *base; size_t depth; bool slash; } CASES[] = {
        { "a", "", "a", 1, false },         { "a/b/c", "a/b", "c", 3, false },   { "./a//./b/", "a", "b", 2, true },
        { "/etc/passwd", "etc", "passwd", 2, false }, { "", "", "", 0, false },  { ".", "", "", 0, false },
        { "./", "", "", 0, true },          { "//", "", "", 0, true },           { "...", "", "...", 1, false },
        { "a/..b", "a", "..b", 2, false },  { "wh.a", "", "wh.a", 1, false },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct entry_path p;
        struct err        err;

        if (!entry_path_read(CASES[i].name, &p, &err))
            fail_msg("%s: %s", CASES[i].name, err.text);
        assert_string_equal(p.parent, CASES[i].parent);
        assert_string_equal(p.base, CASES[i].base);
        assert_int_equal(p.depth, CASES[i].depth);
        assert_int_equal(p.has_final_slash, CASES[i].slash);
        assert_int_equal(p.whiteout, WHITEOUT_NONE);
    }
}

static void tells_whiteouts_from_files(void **state)
{
    static const struct { const char *name, *parent, *base; enum whiteout whiteout; } CASES[] = {
        { ".wh.x", "", "x", WHITEOUT_NAME },
        { "d/e/.wh.x", "d/e", "x", WHITEOUT_NAME },
        { "d/.wh..x", "d", ".x", WHITEOUT_NAME },
        { "d/.wh..wh..opq", "d", ".wh..wh..opq", WHITEOUT_OPAQUE },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct entry_path p;
        struct err        err;

        assert_true(entry_path_read(CASES[i].name, &p, &err));
        assert_int_equal(p.whiteout, CASES[i].whiteout);
        assert_string_equal(p.parent, CASES[i].parent);
        assert_string_equal(p.base, CASES[i].base);
    }
}

static void refuses_names_by_their_one_defect(void **state)
{
    char step[TAR_COMPONENT_MAX + 2], path[TAR_PATH_MAX + 8];
    const struct { const char *name; enum err_kind kind; const char *why; } CASES[] = {
        { "..", ERR_MALFORMED, "\"..\"" },      { "../a", ERR_MALFORMED, "\"..\"" },
        { "a/../b", ERR_MALFORMED, "\"..\"" },  { "/..", ERR_MALFORMED, "\"..\"" },
        { "a/..", ERR_MALFORMED, "\"..\"" },    { ".wh.", ERR_MALFORMED, "whiteout of nothing" },
        { ".wh..", ERR_MALFORMED, "whiteout of nothing" }, { ".wh...", ERR_MALFORMED, "whiteout of nothing" },
        { ".wh.a/b", ERR_MALFORMED, "through a whiteout" }, { "d/.wh.a/b/c", ERR_MALFORMED, "through a whiteout" },
        { ".wh..wh..opq/b", ERR_MALFORMED, "through a whiteout" }, { ".wh..wh.plnk", ERR_UNSUPPORTED, "AUFS" },
        { step, ERR_LIMIT, "too long" },        { path, ERR_LIMIT, "too long" },
    };

    (void) state;
    memset(step, 'n', sizeof step - 1);
    step[sizeof step - 1] = '\0';
    for (size_t i = 0; i + 1 < sizeof path; i += 2)
        memcpy(path + i, "a/", 2);
    path[sizeof path - 1] = '\0';
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct entry_path p;
        struct err        err;

        assert_false(entry_path_read(CASES[i].name, &p, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("%.40s: %s", CASES[i].name, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_names_relative_and_splits_them),
        cmocka_unit_test(tells_whiteouts_from_files),
        cmocka_unit_test(refuses_names_by_their_one_defect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
