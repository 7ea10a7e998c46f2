/* Included before all else in the freestanding build: every symbol is in this image, so none needs a GOT entry. */
#pragma once
#pragma GCC visibility push(hidden)
