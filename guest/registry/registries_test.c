#include "tests/harness/test.h"

#include "base/toml.h"
#include "guest/registry/registries.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char config[] =
    "short-name-mode = \"permissive\"\nunqualified-search-registries = [\"docker.io/\", \"second.example\"]\n"
    "[[registry]]\nprefix = \"example.com/banned\"\nblocked = true\n"
    "[[registry]]\nprefix = \"example.com/foo\"\nlocation = \"inside.example:5000/bar\"\n"
    "[[registry.mirror]]\nlocation = \"mirror-0.example/m\"\n"
    "[[registry.mirror]]\nlocation = \"mirror-1.example\"\ninsecure = true\npull-from-mirror = \"digest-only\"\n"
    "[[registry.mirror]]\nlocation = \"mirror-2.example\"\npull-from-mirror = \"tag-only\"\n"
    "[[registry]]\nprefix = \"*.wild.example\"\nlocation = \"stand-in.example\"\n"
    "[[registry]]\nlocation = \"Plain.example:5000/\"\ninsecure = true\n"
    "[[registry]]\nlocation = \"careful.example\"\nmirror-by-digest-only = true\n"
    "[[registry.mirror]]\nlocation = \"m.example\"\n";

static void read_config(const char *text, struct registries *out)
{
    struct json_object *document;
    struct err          err;

    if (!toml_read(bytes_of_text(text), &document, &err) || !registries_read_take(document, out, &err))
        fail_msg("%s", err.text);
}

static void show(const struct attempt *attempts, size_t n, struct buffer *out)
{
    for (size_t i = 0; i < n; i++)
        buffer_printf(out, "%s%s%s/%s", i ? " " : "", attempts[i].is_insecure ? "http:" : "", attempts[i].registry,
                      attempts[i].repository);
}

static void lists_mirrors_then_the_origin(void **state)
{
    static const struct { const char *name, *attempts; } rows[] = {
        { "other.example/a", "other.example/a" },
        { "example.com/foo/x", "mirror-0.example/m/x mirror-2.example/x inside.example:5000/bar/x" },
        { "example.com/foo/x@sha256:" HEX, "mirror-0.example/m/x http:mirror-1.example/x inside.example:5000/bar/x" },
        { "example.com/food/x", "example.com/food/x" },
        { "a.b.wild.example/x/y", "stand-in.example/x/y" },
        { "a.wild.example:5000/x", "stand-in.example:5000/x" },
        { "plain.example:5000/x", "http:plain.example:5000/x" },
        { "careful.example/x", "careful.example/x" },
        { "careful.example/x@sha256:" HEX, "m.example/x careful.example/x" },
        { "app", "docker.io/library/app second.example/app" },
    };
    AUTO(registries) struct registries r = { 0 };

    (void) state;
    read_config(config, &r);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer shown = { 0 };
        struct attempt             attempts[ATTEMPTS_MAX];
        struct image_reference     reference;
        size_t                     n;
        struct err                 err;

        assert_true(image_reference_read(bytes_of_text(rows[i].name), &reference, &err));
        if (!registries_attempts(&r, &reference, reference.has_digest, attempts, &n, &err))
            fail_msg("%s: %s", rows[i].name, err.text);
        show(attempts, n, &shown);
        assert_string_equal(buffer_text(&shown), rows[i].attempts);
    }
}

static void refuses_blocked_and_nameless_registries(void **state)
{
    AUTO(registries) struct registries r = { 0 }, none = { 0 };
    struct attempt                     attempts[ATTEMPTS_MAX];
    struct image_reference             reference;
    size_t                             n;
    struct err                         err;

    (void) state;
    read_config(config, &r);
    assert_true(image_reference_read(bytes_of_text("example.com/banned/x"), &reference, &err));
    assert_false(registries_attempts(&r, &reference, false, attempts, &n, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_true(image_reference_read(bytes_of_text("app"), &reference, &err));
    assert_false(registries_attempts(&none, &reference, false, attempts, &n, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

/* In whatever form podman's users write them. */
static void a_block_holds_for_every_spelling_of_a_name(void **state)
{
    static const struct { const char *prefix, *blocked, *free; } rows[] = {
        { "Example.COM", "example.com/a", "example.com:5000/a" },
        { "example.com", "EXAMPLE.com/a", "www.example.com/a" },
        { "example.com/", "example.com/a/b", "example.community/a" },
        { "example.com/team//", "example.com/team/b", "example.com/teams/b" },
        { "Example.com:5000", "example.com:5000/a", "example.com/a" },
        { "*.Example.com", "a.B.example.com/x", "example.com/x" },
        { "*.example.com", "a.example.com:5000/x", "a.example.community/x" },
        { "*.example.com:5000", "a.example.com:5000/x", "a.example.com/x" },
        { "docker.io", "index.docker.io/library/a", "registry-1.docker.io/library/a" },
        { "index.docker.io/library", "docker.io/a", "docker.io/b/a" },
        { "127.0.0.1:5000", "127.0.0.1:5000/a", "127.0.0.1/a" },
        { "localhost", "localhost/a", "localhost:5000/a" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer         text = { 0 };
        AUTO(registries) struct registries r    = { 0 };
        struct attempt                     attempts[ATTEMPTS_MAX];
        struct image_reference             blocked, free_one;
        size_t                             n;
        struct err                         err;

        buffer_printf(&text, "[[registry]]\nprefix = \"%s\"\nblocked = true\n", rows[i].prefix);
        read_config(buffer_text(&text), &r);
        assert_true(image_reference_read(bytes_of_text(rows[i].blocked), &blocked, &err) &&
                    image_reference_read(bytes_of_text(rows[i].free), &free_one, &err));
        if (registries_attempts(&r, &blocked, false, attempts, &n, &err) || err.kind != ERR_DENIED)
            fail_msg("%s does not block %s", rows[i].prefix, rows[i].blocked);
        if (!registries_attempts(&r, &free_one, false, attempts, &n, &err))
            fail_msg("%s blocks %s: %s", rows[i].prefix, rows[i].free, err.text);
    }
}

static void refuses_what_it_does_not_understand(void **state)
{
    static const struct { const char *toml, *why; enum err_kind kind; } rows[] = {
        { "x = 1", "unknown member", ERR_MALFORMED },
        { "[[registry]]\nblocked = true", "neither prefix nor location", ERR_MALFORMED },
        { "[[registry]]\nlocation = 1", "location", ERR_MALFORMED },
        { "[[registry]]\nlocation = \"\"", "registry 1: location: empty", ERR_MALFORMED },
        { "[[registry]]\nlocation = \"https://a.example\"", "registry 1: location https://a.example: with a scheme", ERR_MALFORMED },
        { "[[registry]]\nprefix = \"a.example/x:v1\"\nblocked = true", "prefix a.example/x:v1: with a tag or a digest", ERR_UNSUPPORTED },
        { "[[registry]]\nprefix = \"a.example/Team\"\nblocked = true", "prefix a.example/Team: image name: repository: lower-case", ERR_MALFORMED },
        { "[[registry]]\nprefix = \"intranet\"\nblocked = true", "prefix intranet: a host without a dot", ERR_MALFORMED },
        { "[[registry]]\nprefix = \"[fd00::1]:5000\"\nblocked = true", "prefix [fd00::1]:5000: image name: registry: an IPv6 literal", ERR_UNSUPPORTED },
        { "[[registry]]\nprefix = \"a.example:\"\nblocked = true", "a port that is not a number", ERR_MALFORMED },
        { "[[registry]]\nprefix = \"*.a.example/x\"\nblocked = true", "prefix *.a.example/x: a wildcard with a path", ERR_UNSUPPORTED },
        { "[[registry]]\nprefix = \"*\"\nblocked = true", "prefix *: ", ERR_MALFORMED },
        { "[[registry]]\nprefix = \"a.*.example\"\nblocked = true", "prefix a.*.example: ", ERR_MALFORMED },
        { "[[registry]]\nlocation = \"*.a.example\"", "location *.a.example: ", ERR_MALFORMED },
        { "[[registry]]\nlocation = \"a.example\"\n[[registry]]\nprefix = \"A.example/\"\nblocked = true",
          "registry 1 and 2 are both of a.example", ERR_MALFORMED },
        { "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"http://m.example\"",
          "mirror 1: location http://m.example: with a scheme", ERR_MALFORMED },
        { "[[registry]]\nlocation = \"a.example\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"m.example\"\n"
          "pull-from-mirror = \"all\"", "mirror 1: pull-from-mirror contradicts", ERR_MALFORMED },
        { "unqualified-search-registries = [\"https://a.example\"]", "unqualified-search-registries: https://a.example: with a scheme", ERR_MALFORMED },
        { "unqualified-search-registries = [\"a.example/x\"]", "a.example/x: HOST[:PORT] is wanted", ERR_MALFORMED },
        { "short-name-mode = \"enforcing\"\nunqualified-search-registries = [\"a.example\", \"b.example\"]", "nobody to ask", ERR_UNSUPPORTED },
        { "short-name-mode = \"other\"", "short-name-mode: enforcing, permissive or disabled", ERR_MALFORMED },
        { "[aliases]\n\"app\" = \"a.example/app\"", "short-name aliases; an image is named with its registry", ERR_UNSUPPORTED },
        { "[registries.search]\nregistries = [\"a.example\"]", "version 1 of the format", ERR_UNSUPPORTED },
        { "credential-helpers = [\"x\"]", "no credential helpers", ERR_UNSUPPORTED },
        { "[[registry]]\nlocation = \"a.example\"\ninsecure = 1", "insecure", ERR_MALFORMED },
        { "[[registry]]\nlocation = \"a.example\"\nmirrors = []", "unknown member", ERR_MALFORMED },
        { "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\ninsecure = true", "without a location", ERR_MALFORMED },
        { "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"b.example\"\npull-from-mirror = \"x\"",
          "pull-from-mirror", ERR_MALFORMED },
        { "registry = [1]", "not an object", ERR_MALFORMED },
        { "unqualified-search-registries = [1]", "not a text", ERR_MALFORMED },
        { "unqualified-search-registries = \"a\"", "unqualified-search-registries", ERR_MALFORMED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_object *document;
        struct registries   r;
        struct err          err;

        assert_true(toml_read(bytes_of_text(rows[i].toml), &document, &err));
        if (registries_read_take(document, &r, &err))
            fail_msg("%s was read", rows[i].toml);
        if (err.kind != rows[i].kind || !strstr(err.text, rows[i].why))
            fail_msg("%s: %s: %s", rows[i].toml, err_kind_name(err.kind), err.text);
    }
}

static void refuses_more_places_than_it_tries(void **state)
{
    AUTO(buffer) struct buffer         text = { 0 };
    AUTO(registries) struct registries r    = { 0 };
    struct attempt                     attempts[ATTEMPTS_MAX];
    struct image_reference             reference;
    size_t                             n;
    struct err                         err;

    (void) state;
    buffer_append_text(&text, "[[registry]]\nlocation = \"r.example\"\n");
    for (int i = 0; i < ATTEMPTS_MAX; i++)
        buffer_printf(&text, "[[registry.mirror]]\nlocation = \"m%d.example\"\n", i);
    read_config(buffer_text(&text), &r);
    assert_true(image_reference_read(bytes_of_text("r.example/a"), &reference, &err));
    assert_false(registries_attempts(&r, &reference, false, attempts, &n, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_mirrors_then_the_origin),
        cmocka_unit_test(refuses_blocked_and_nameless_registries),
        cmocka_unit_test(a_block_holds_for_every_spelling_of_a_name),
        cmocka_unit_test(refuses_what_it_does_not_understand),
        cmocka_unit_test(refuses_more_places_than_it_tries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
