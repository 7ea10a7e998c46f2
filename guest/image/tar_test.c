#include "tests/harness/json_vectors.h"

#include "guest/image/tar.h"

struct feed {
    struct bytes left;
    size_t       piece;
};

static bool feed_next(void *owner, struct bytes *piece, struct err *err)
{
    struct feed *f = owner;
    size_t       n = f->left.len < f->piece ? f->left.len : f->piece;

    (void) err; /* memory does not fail */
    *piece  = (struct bytes){ f->left.at, n };
    f->left = (struct bytes){ f->left.at + n, f->left.len - n };
    return true;
}

/* One line for each entry: what the archives of the corpus are known to hold. */
static bool list(struct bytes archive, size_t piece, struct buffer *out, struct err *err)
{
    struct feed          f      = { archive, piece };
    AUTO(tar) struct tar tar    = tar_over((struct stream){ feed_next, &f });
    bool                 is_end = false;

    for (;;) {
        struct tar_entry e;
        struct bytes     content = { 0 };

        if (!tar_next(&tar, &e, &is_end, err))
            return false;
        if (is_end)
            return true;
        buffer_printf(out, "%u %.12s>%.6s %o %u %lld.%u %llu x%zu e%zu ", e.kind, e.name, e.link, e.mode, e.uid,
                      (long long) e.mtime, e.mtime_ns / 1000000, (unsigned long long) e.size, e.n_xattrs, e.n_extents);
        do {
            if (!tar_content(&tar, &content, err))
                return false;
            buffer_append(out, content);
        } while (content.len > 0);
        buffer_append_text(out, "\n");
    }
}

static void assert_lists(const char *name, const char *wanted)
{
    static const size_t PIECES[] = { 1, 7, 511, 512, 513, 1 << 20 };
    AUTO(buffer) struct buffer archive = { 0 }, path = { 0 };

    buffer_printf(&path, "tar/%s", name);
    vector_read(buffer_text(&path), &archive);
    for (size_t i = 0; i < sizeof PIECES / sizeof *PIECES; i++) {
        AUTO(buffer) struct buffer found = { 0 };
        struct err                 err;

        if (!list(buffer_bytes(&archive), PIECES[i], &found, &err))
            fail_msg("%s: %s", name, err.text);
        assert_string_equal(buffer_text(&found), wanted);
    }
}

static void lists_every_kind_in_each_format(void **state)
{
#define KINDS(uid)                                                                                                    \
    "5 d/> 755 0 1700000000.0 0 x0 e0 \n0 d/a> 644 " uid " e0 hello\n2 l>d/a 644 0 1700000000.0 0 x0 e0 \n"          \
    "1 h>d/a 644 0 1700000000.0 0 x0 e0 \n3 n> 644 0 1700000000.0 0 x0 e0 \n6 p> 644 0 1700000000.0 0 x0 e0 \n"     \
    "0 d/.wh.x> 644 0 1700000000.0 0 x0 e0 \n"

    (void) state;
    assert_lists("ustar.tar", KINDS("0 1700000000.0 5 x0"));
    assert_lists("gnu.tar", KINDS("3000000 1700000000.0 5 x0") "0 long-long-lo> 644 0 1.0 1 x0 e0 x\n2 k>tttttt 644 0 1700000000.0 0 x0 e0 \n");
    assert_lists("pax.tar", KINDS("3000000 1700000000.0 5 x1") "0 long-long-lo> 644 0 1.500 1 x0 e0 x\n2 k>tttttt 644 0 1700000000.0 0 x0 e0 \n");
}

static void reads_all_four_sparse_forms_alike(void **state)
{
    static const char *const NAMES[] = { "oldgnu.tar", "s00.tar", "s01.tar", "s10.tar" };

    (void) state;
    for (size_t i = 0; i < 4; i++) {
        AUTO(buffer) struct buffer archive = { 0 }, path = { 0 };
        struct feed                f      = { .piece = 100 };
        AUTO(tar) struct tar       tar    = tar_over((struct stream){ feed_next, &f });
        bool                       is_end = false;
        struct tar_entry           e;
        struct err                 err;

        buffer_printf(&path, "tar/%s", NAMES[i]);
        vector_read(buffer_text(&path), &archive);
        f.left = buffer_bytes(&archive);
        if (!tar_next(&tar, &e, &is_end, &err))
            fail_msg("%s: %s", NAMES[i], err.text);
        assert_string_equal(e.name, "s");
        assert_true(e.is_sparse);
        assert_int_equal(e.size, 1 << 20);
        assert_true(e.n_extents >= 6 && e.extents[5].offset == 5 * 65536);
    }
}

static void refuses_every_cut_but_those_between_entries(void **state)
{
    AUTO(buffer) struct buffer archive = { 0 };
    size_t                     n_taken = 0;

    (void) state;
    vector_read("tar/pax.tar", &archive);
    for (size_t len = 0; len < archive.len; len++) {
        AUTO(heap) uint8_t        *exact = exact_copy(archive.at, len);
        AUTO(buffer) struct buffer found = { 0 };
        struct err                 err;

        if (list((struct bytes){ exact, len }, 4096, &found, &err)) {
            assert_true(bytes_are_zero((struct bytes){ exact + len - len % TAR_BLOCK_LEN, len % TAR_BLOCK_LEN }));
            n_taken += len % TAR_BLOCK_LEN == 0;
            continue;
        }
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_non_null(strstr(err.text, "ends in the middle"));
    }
    assert_in_range(n_taken, 9, 40); /* between the nine entries, and within the end mark */
}

static bool fail_next(void *owner, struct bytes *piece, struct err *err)
{
    (void) owner;
    *piece = (struct bytes){ 0 };
    return fail_with(err, ERR_TIMEOUT, "the stream is slow");
}

static void passes_on_the_failure_of_its_stream(void **state)
{
    AUTO(tar) struct tar tar    = tar_over((struct stream){ fail_next, NULL });
    bool                 is_end = false;
    struct tar_entry     e;
    struct err           err;

    (void) state;
    assert_false(tar_next(&tar, &e, &is_end, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    assert_false(is_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_every_kind_in_each_format),
        cmocka_unit_test(reads_all_four_sparse_forms_alike),
        cmocka_unit_test(refuses_every_cut_but_those_between_entries),
        cmocka_unit_test(passes_on_the_failure_of_its_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
