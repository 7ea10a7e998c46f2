#include "keys/ocicrypt/verity_tree.h"

#include <string.h>

enum { PER_BLOCK = VERITY_BLOCK_LEN / SHA256_LEN, BLOCKS_PER_MIB = (1 << 20) / VERITY_BLOCK_LEN };

FALLIBLE verity_tree_add(struct verity_tree *tree, struct bytes data, struct err *err)
{
    uint64_t n = data.len / VERITY_BLOCK_LEN;

    if (data.len % VERITY_BLOCK_LEN != 0)
        return fail_with(err, ERR_BUG, "hash tree: %zu bytes are no whole blocks", data.len);
    if (n > (uint64_t) BLOCK_LAYER_MIB_MAX * BLOCKS_PER_MIB - tree->n_blocks)
        return fail_with(err, ERR_LIMIT, "more than %d MiB in one layer", BLOCK_LAYER_MIB_MAX);
    for (uint64_t i = 0; i < n; i++)
        sha256_of((struct bytes){ data.at + i * VERITY_BLOCK_LEN, VERITY_BLOCK_LEN },
                  buffer_grow(&tree->digests, SHA256_LEN));
    tree->n_blocks += n;
    return true;
}

static uint64_t blocks_above(uint64_t n)
{
    return (n + PER_BLOCK - 1) / PER_BLOCK;
}

uint64_t verity_tree_blocks(uint64_t n_blocks)
{
    uint64_t sum = 0;

    for (uint64_t n = n_blocks; n > 1; sum += n)
        n = blocks_above(n);
    return sum;
}

static void pad(struct buffer *level)
{
    (void) buffer_grow(level, (VERITY_BLOCK_LEN - level->len % VERITY_BLOCK_LEN) % VERITY_BLOCK_LEN); /* zeros */
}

void verity_tree_end(struct verity_tree *tree, struct buffer *nodes, uint8_t root[static SHA256_LEN])
{
    struct buffer levels[VERITY_LEVELS_MAX] = { { 0 } };
    size_t        n                         = 0;

    levels[0] = TAKE(tree->digests);
    for (; levels[n].len > SHA256_LEN; n++) {
        pad(&levels[n]);
        for (size_t at = 0; at < levels[n].len; at += VERITY_BLOCK_LEN)
            sha256_of((struct bytes){ levels[n].at + at, VERITY_BLOCK_LEN }, buffer_grow(&levels[n + 1], SHA256_LEN));
    }
    memcpy(root, levels[n].at, SHA256_LEN);
    for (size_t i = n; i > 0; i--)
        buffer_append(nodes, buffer_bytes(&levels[i - 1]));
    for (size_t i = 0; i <= n; i++)
        buffer_free(&levels[i]);
    *tree = (struct verity_tree){ 0 };
}
