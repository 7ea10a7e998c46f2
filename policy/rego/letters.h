/* What policies need to know of Unicode: letter case and white space. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

uint32_t rune_lower(uint32_t rune); /* simple mappings, one code point to one */
uint32_t rune_upper(uint32_t rune);
uint32_t rune_fold(uint32_t rune);  /* the next one that differs only in case; a cycle, as Go's SimpleFold */
bool     rune_is_space(uint32_t rune);
