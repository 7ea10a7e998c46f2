#include "tests/harness/test.h"

#include "keys/ocicrypt/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void reads_every_form_and_writes_the_one_form(void **state)
{
    static const struct { const char *text, *registry, *repository, *tag, *written; bool has_digest; } rows[] = {
        { "registry.example/a", "registry.example", "a", "latest", "registry.example/a:latest", false },
        { "Registry.Example:5000/a/b/c:v1.0_x-y", "registry.example:5000", "a/b/c", "v1.0_x-y",
          "registry.example:5000/a/b/c:v1.0_x-y", false },
        { "localhost/a", "localhost", "a", "latest", "localhost/a:latest", false },
        { "10.0.2.2:5000/shop", "10.0.2.2:5000", "shop", "latest", "10.0.2.2:5000/shop:latest", false },
        { "docker.io/busybox", "docker.io", "library/busybox", "latest", "docker.io/library/busybox:latest", false },
        { "index.docker.io/busybox", "docker.io", "library/busybox", "latest", "docker.io/library/busybox:latest", false },
        { "docker.io/user/app", "docker.io", "user/app", "latest", "docker.io/user/app:latest", false },
        { "busybox", "", "busybox", "latest", "busybox:latest", false },
        { "team/app:1", "", "team/app", "1", "team/app:1", false },
        { "r.example/a-b--c.d_e__f/g", "r.example", "a-b--c.d_e__f/g", "latest", "r.example/a-b--c.d_e__f/g:latest", false },
        { "r.example/a@sha256:" HEX, "r.example", "a", "", "r.example/a@sha256:" HEX, true },
        { "r.example/a:t@sha256:" HEX, "r.example", "a", "t", "r.example/a:t@sha256:" HEX, true },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t                 len  = strlen(rows[i].text);
        AUTO(heap) uint8_t    *copy = exact_copy(rows[i].text, len);
        struct image_reference r;
        struct err             err;

        if (!image_reference_read((struct bytes){ copy, len }, &r, &err))
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_string_equal(r.registry, rows[i].registry);
        assert_string_equal(r.repository, rows[i].repository);
        assert_string_equal(r.tag, rows[i].tag);
        assert_int_equal(r.has_digest, rows[i].has_digest);
        assert_string_equal(image_reference_text(&r).at, rows[i].written);
    }
}

static void refuses_what_is_no_name(void **state)
{
    static const struct { const char *text, *why; enum err_kind kind; } rows[] = {
        { "", "repository", ERR_MALFORMED },
        { "r.example/", "repository", ERR_MALFORMED },
        { "r.example/A", "repository", ERR_MALFORMED },
        { "r.example/a//b", "repository", ERR_MALFORMED },
        { "r.example/../b", "repository", ERR_MALFORMED },
        { "r.example/a/./b", "repository", ERR_MALFORMED },
        { "r.example/a_", "repository", ERR_MALFORMED },
        { "r.example/a..b", "repository", ERR_MALFORMED },
        { "r.example/a._b", "repository", ERR_MALFORMED },
        { "r.example/a b", "repository", ERR_MALFORMED },
        { "r.example/a?x=1", "repository", ERR_MALFORMED },
        { "r.example/a:", "tag", ERR_MALFORMED },
        { "r.example/a:.x", "tag", ERR_MALFORMED },
        { "r.example/a:x/y", "tag", ERR_MALFORMED },
        { "r.example/a:b:c", "tag", ERR_MALFORMED },
        { "-r.example/a", "host name", ERR_MALFORMED },
        { "r..example/a", "host name", ERR_MALFORMED },
        { "user@r.example/a", "image name", ERR_MALFORMED },
        { "r.example:/a", "port", ERR_MALFORMED },
        { "r.example:123456/a", "port", ERR_MALFORMED },
        { "r.example:x/a", "port", ERR_MALFORMED },
        { "https://r.example/a", "", ERR_MALFORMED },
        { "r.example/a@", "image name", ERR_MALFORMED },
        { "r.example/a@sha256:" HEX "0", "image name", ERR_MALFORMED },
        { "r.example/a@md5:" HEX, "image name", ERR_UNSUPPORTED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image_reference r;
        struct err             err;

        if (image_reference_read(bytes_of_text(rows[i].text), &r, &err))
            fail_msg("%s was read", rows[i].text);
        if (err.kind != rows[i].kind || !strstr(err.text, rows[i].why))
            fail_msg("%s: %s: %s", rows[i].text, err_kind_name(err.kind), err.text);
    }
}

static void refuses_names_that_are_too_long_and_zero_bytes(void **state)
{
    struct image_reference r;
    struct err             err;
    char                   text[REFERENCE_TEXT_MAX + 3];

    (void) state;
    memset(text, 'a', sizeof text);
    assert_false(image_reference_read(BYTES_OF(text), &r, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(image_reference_read((struct bytes){ (const uint8_t *) text, 256 }, &r, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(image_reference_read((struct bytes){ (const uint8_t *) "r.example/a\0b", 13 }, &r, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    assert_false(image_reference_read((struct bytes){ (const uint8_t *) "r.example/a:b\0", 14 }, &r, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

static void every_cut_of_a_name_is_read_or_refused(void **state)
{
    static const char whole[] = "registry.example:5000/team/app:v1@sha256:" HEX;

    (void) state;
    for (size_t len = 0; len < sizeof whole; len++) {
        AUTO(heap) uint8_t    *copy = exact_copy(whole, len);
        struct image_reference r;
        struct err             err;

        if (!image_reference_read((struct bytes){ copy, len }, &r, &err))
            assert_true(err.kind == ERR_MALFORMED || err.kind == ERR_UNSUPPORTED);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_form_and_writes_the_one_form),
        cmocka_unit_test(refuses_what_is_no_name),
        cmocka_unit_test(refuses_names_that_are_too_long_and_zero_bytes),
        cmocka_unit_test(every_cut_of_a_name_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
