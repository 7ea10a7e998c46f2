#include "runtime/oci/block_crypt.h"

#include <string.h>

FALLIBLE block_crypt_begin(struct block_crypt *run, const struct descriptor *from, const struct layer_private *private, bool encrypts,
                           struct err *err)
{
    run->encrypts = encrypts;
    return block_layer_read(from, &run->from, err) && block_layer_key(private, &run->key, err);
}

bool block_crypt_piece(void *owner, struct bytes piece, struct err *err)
{
    struct block_crypt *run  = owner;
    uint64_t            left = (run->from.n_blocks - run->n_done) * VERITY_BLOCK_LEN;
    size_t              len  = piece.len < left ? piece.len : (size_t) left; /* behind that is the old tree */
    struct bytes        data = { piece.at, len };

    if (!verity_tree_add(&run->before, data, err) || !block_layer_crypt(&run->key, run->encrypts, run->n_done, run->piece, len, err) ||
        !verity_tree_add(&run->after, data, err))
        return false;
    run->n_done += len / VERITY_BLOCK_LEN;
    return layout_sink_write(run->sink, data, err);
}

FALLIBLE block_crypt_end(struct block_crypt *run, struct block_layer *out, struct err *err)
{
    AUTO(buffer) struct buffer unused = { 0 }, nodes = { 0 };
    uint8_t                    root[SHA256_LEN];

    if (run->n_done != run->from.n_blocks)
        return fail_with(err, ERR_BUG, "a layer of blocks is short");
    verity_tree_end(&run->before, &unused, root);
    if (memcmp(root, run->from.root, SHA256_LEN) != 0)
        return fail_with(err, ERR_UNTRUSTED, "its blocks are not what the root in its annotation says");
    out->n_blocks = run->n_done;
    verity_tree_end(&run->after, &nodes, out->root);
    return layout_sink_write(run->sink, buffer_bytes(&nodes), err);
}
