# Cairn. Two commands do everything: `make run` and `make test`; see README.md.
#
#   make                     build/cairn-server and build/cairn-check, optimised
#   make VARIANT=dev         build/dev/..., -O1 with DCHECKs: quick to compile, for daily work
#   make SANITIZE=thread     build/thread/...; also SANITIZE=address,undefined
#   make unit                the unit tests of the dev variant; T=pattern picks some
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
DESTDIR ?=

CXX := g++
CCACHE := $(shell command -v ccache)
# Objects of one checkout serve another: nothing in them depends on the folder.
export CCACHE_NOHASHDIR := 1
VARIANT ?= $(if $(SANITIZE),sanitize,release)

comma := ,
WARNINGS := -Wall -Wextra -Werror
COMMON := -std=c++20 -march=x86-64-v2 -g -pthread $(WARNINGS) -Isrc -I. -fno-strict-aliasing
LIBS := -luv -llz4 -lssl -lcrypto -lxxhash -l:liblua5.1-cjson.a -l:liblua5.1.a -llzf -pthread -ldl

ifeq ($(VARIANT),release)
  OUT := build
  OBJ := build/release
  CXXFLAGS := $(COMMON) -O3 -flto=auto -fno-plt -DNDEBUG
  LDFLAGS := -O3 -flto=$(JOBS) -fuse-linker-plugin
  ALLOCATOR := -ljemalloc
else ifeq ($(VARIANT),dev)
  OUT := build/dev
  OBJ := build/dev
  CXXFLAGS := $(COMMON) -O1
  LDFLAGS := -fuse-ld=mold
  ALLOCATOR := -ljemalloc
else ifeq ($(VARIANT),sanitize)
  OUT := build/$(subst $(comma),-,$(SANITIZE))
  OBJ := $(OUT)
  # The sanitizers bring their own allocator, so jemalloc stays out.
  CXXFLAGS := $(COMMON) -O1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -DCAIRN_NO_JEMALLOC \
    -Wno-maybe-uninitialized \
    $(if $(findstring thread,$(SANITIZE)),-Wno-error=tsan)
  LDFLAGS := -fsanitize=$(SANITIZE)
  ALLOCATOR :=
endif

# main() lives in src/server/main.cc and in utils/cairn-check/; everything else is shared.
SOURCES := $(filter-out src/server/main.cc,$(wildcard src/*/*.cc))
CHECK_SOURCES := $(wildcard utils/cairn-check/*.cc)
UNIT_SOURCES := $(wildcard tests/unit/*.cc tests/unit/*/*.cc)
OBJECTS := $(SOURCES:%.cc=$(OBJ)/%.o)

.PHONY: all server deps run test test-long unit bench format install clean
all: $(OUT)/cairn-server $(OUT)/cairn-check
server: $(OUT)/cairn-server

$(OUT)/cairn-server: $(OBJ)/src/server/main.o $(OBJECTS)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LIBS) $(ALLOCATOR)

$(OUT)/cairn-check: $(CHECK_SOURCES:%.cc=$(OBJ)/%.o) $(OBJECTS)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LIBS) $(ALLOCATOR)

$(OBJ)/%.o: %.cc
	@mkdir -p $(@D)
	$(CCACHE) $(CXX) $(CXXFLAGS) -MMD -MP -c -o $@ $<

# The unit tests: Catch2's header is compiled once (-include finds the .gch beside it).
# Catch's CHECK gives way to ours; tests use REQUIRE.
CATCH := $(OBJ)/catch.hpp
$(CATCH).gch: Makefile
	@mkdir -p $(@D)
	printf '#include <catch2/catch.hpp>\n#undef CHECK\n' > $(CATCH)
	$(CXX) $(CXXFLAGS) -x c++-header -o $@ $(CATCH)
$(OBJ)/tests/unit/main.o: tests/unit/main.cc
	@mkdir -p $(@D)
	$(CCACHE) $(CXX) $(CXXFLAGS) -c -o $@ $<
$(OBJ)/tests/unit/%.o: tests/unit/%.cc $(CATCH).gch
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -include $(CATCH) -MMD -MP -c -o $@ $<
$(OUT)/unit-tests: $(UNIT_SOURCES:%.cc=$(OBJ)/%.o) $(OBJECTS)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LIBS) -lhiredis $(ALLOCATOR)
unit-binary: $(OUT)/unit-tests
unit:
	$(MAKE) --no-print-directory VARIANT=$(if $(SANITIZE),sanitize,dev) unit-binary
	$(if $(SANITIZE),build/$(subst $(comma),-,$(SANITIZE)),build/dev)/unit-tests $(T)

deps:
	deps/install.sh

run:
	@deps/install.sh
	@$(MAKE) --no-print-directory -j$(JOBS) server
	build/cairn-server conf/cairn.conf

test:
	@deps/install.sh
	@JOBS=$(JOBS) tests/run.sh

test-long:
	@deps/install.sh
	@JOBS=$(JOBS) tests/run.sh --long

bench:
	@deps/install.sh
	@$(MAKE) --no-print-directory -j$(JOBS) all
	utils/bench/run.sh

format:
	clang-format -i $$(git ls-files '*.cc' '*.h')

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/cairn
	install -m 755 build/cairn-server build/cairn-check $(DESTDIR)$(PREFIX)/bin
	install -m 644 conf/cairn.conf $(DESTDIR)$(PREFIX)/share/cairn/cairn.conf

clean:
	rm -rf build

-include $(shell [ -d $(OBJ) ] && find $(OBJ) -name '*.d')
