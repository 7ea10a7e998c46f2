#include "tests/harness/test.h"

#include <unistd.h>

#include "base/file.h"
#include "guest/image/layer_store.h"

/* All that a name is made of. */
struct parts {
    struct layer_id   below;
    struct descriptor layer;
    const char       *type;
    struct layer_key  key;
    bool              has_key;
    struct digest     diff_id;
};

static struct layer_id name_of(const struct parts *p)
{
    struct layer_id          id = p->below;
    const struct layer_type *type;
    struct err               err;

    assert_true(layer_type_find(p->type, &type, &err));
    layer_id_next(&id, &p->layer, type, p->has_key ? &p->key : NULL, &p->diff_id);
    return id;
}

static bool equal(const struct layer_id *a, const struct layer_id *b)
{
    return memcmp(a->at, b->at, sizeof a->at) == 0;
}

static void a_name_is_equal_only_where_everything_is(void **state)
{
    struct parts    p = { .layer = { .digest = { .value = { 1 } }, .size = 5 }, .type = "application/vnd.oci.image.layer.v1.tar+encrypted",
                          .has_key = true, .diff_id = { .value = { 2 } } };
    struct layer_id all[12];
    size_t          n = 0;
    struct err      err;

    (void) state;
    assert_true(secret_new(ENC_KEY_LEN, &p.key.private.key, &err));
    all[n++] = name_of(&p);
    assert_true(equal(&all[0], &(struct layer_id[]){ name_of(&p) }[0]));
    p.below.at[31] = 1;
    all[n++]       = name_of(&p);
    p.layer.digest.value[31] = 1;
    all[n++]                 = name_of(&p);
    p.layer.digest.algorithm = DIGEST_SHA512;
    all[n++]                 = name_of(&p);
    p.layer.size = 6;
    all[n++]     = name_of(&p);
    p.diff_id.value[31] = 1;
    all[n++]            = name_of(&p);
    p.key.public.hmac[31] = 1;
    all[n++]              = name_of(&p);
    p.key.public.cipher = LAYER_CIPHER_XTS;
    all[n++]            = name_of(&p);
    p.key.private.nonce[15] = 1;
    all[n++]                = name_of(&p);
    p.key.private.key.held[31] = 1;
    all[n++]                   = name_of(&p);
    p.type   = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
    all[n++] = name_of(&p);
    p.has_key = false;
    all[n++]  = name_of(&p);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (equal(&all[i], &all[j]))
                fail_msg("%zu is named as %zu", i, j);
    auto_layer_key(&p.key);
}

static bool open_upper(void *owner, unsigned upper, const unsigned *lower, size_t n, int *root_fd, struct err *err)
{
    (void) owner;
    (void) lower;
    (void) n;
    (void) root_fd;
    return fail_with(err, ERR_OS, "layer %u: no overlay here", upper);
}

static unsigned add(struct layer_store *store, uint8_t name, uint64_t bytes)
{
    struct layer_begun begun = NO_LAYER_BEGUN;
    struct layer_id    id    = { { name } };
    struct err         err;
    unsigned           number;

    if (!layer_store_begin(store, 0, &begun, &err))
        fail_msg("%s", err.text);
    number = begun.number;
    assert_true(layer_store_end(store, &begun, &id, bytes, 1, &err));
    assert_int_equal(begun.root_fd, NO_FD);
    return number;
}

static bool is_there(const struct layer_store *store, unsigned number)
{
    char path[LAYER_PATH_MAX];

    layer_store_path(store->folder, number, path);
    return access(path, F_OK) == 0;
}

static void the_longest_beginning_is_found_and_what_no_stack_has_goes(void **state)
{
    AUTO(layer_store) struct layer_store store  = { .overlay = open_upper };
    AUTO(text) char                     *folder = NULL;
    struct layer_id                      ids[3] = { { { 1 } }, { { 2 } }, { { 3 } } }, others[1] = { { { 9 } } };
    unsigned                             stack[OCI_LAYERS_MAX];
    size_t                               n;
    struct err                           err;

    (void) state;
    assert_true(directory_make_temporary("store-", &folder, &err));
    store.folder = folder;
    assert_null(layer_store_find(&store, ids, 3, &n));
    assert_int_equal(n, 0);
    unsigned a = add(&store, 1, 10), b = add(&store, 2, 20), c = add(&store, 5, 0);
    store.layers[1].below = a;
    assert_int_equal(layer_store_find(&store, ids, 3, &n)->number, b);
    assert_int_equal(n, 2);
    assert_int_equal(layer_store_find(&store, ids, 1, &n)->bytes, 10);
    assert_null(layer_store_find(&store, others, 1, &n));
    assert_int_equal(layer_store_stack(&store, b, stack), 2);
    assert_true(stack[0] == b && stack[1] == a);
    assert_int_equal(layer_store_stack(&store, 77, stack), 0);
    layer_store_keep(&store, &b, 1);
    assert_true(is_there(&store, a) && is_there(&store, b) && !is_there(&store, c));
    assert_int_equal(store.n, 2);
    layer_store_keep(&store, &a, 1);
    assert_true(is_there(&store, a) && !is_there(&store, b));
    assert_int_not_equal(add(&store, 2, 0), b); /* no number comes twice */
    layer_store_shorten(&store, 1);
    assert_int_equal(store.n, 1);
    layer_store_keep(&store, NULL, 0);
    assert_false(is_there(&store, a));
    assert_true(directory_remove(folder, &err));
}

static void what_fails_leaves_nothing_and_there_is_a_bound(void **state)
{
    AUTO(layer_store) struct layer_store store  = { .overlay = open_upper };
    AUTO(text) char                     *folder = NULL;
    struct layer_begun                   begun  = NO_LAYER_BEGUN;
    struct err                           err;

    (void) state;
    assert_true(directory_make_temporary("store-", &folder, &err));
    store.folder = folder;
    unsigned a = add(&store, 1, 0);
    assert_false(layer_store_begin(&store, a, &begun, &err));
    assert_string_equal(err.text, "layer 2: no overlay here");
    assert_false(is_there(&store, 2));
    assert_int_equal(begun.root_fd, NO_FD);
    layer_store_abandon(&store, &begun); /* again does nothing */
    while (store.n < LAYER_STORE_MAX)
        (void) add(&store, 2, 0);
    assert_false(layer_store_begin(&store, 0, &begun, &err));
    assert_string_equal(err.text, "over 1024 layers at once");
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_equal_only_where_everything_is),
        cmocka_unit_test(the_longest_beginning_is_found_and_what_no_stack_has_goes),
        cmocka_unit_test(what_fails_leaves_nothing_and_there_is_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
