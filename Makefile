# Cairn. Two commands do everything: `make run` and `make test`; see README.md.
#
#   make                     build/cairn-server and build/cairn-check, optimised
#   make VARIANT=dev         build/dev/..., -O1 with DCHECKs: quick to compile, for daily work
#   make SANITIZE=thread     build/thread/...; also SANITIZE=address,undefined
#   make pgo                 build/pgo/cairn-server, optimised by a profile of the bench's workloads
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
# Line numbers only, which compile in half the time; DEBUG=-g brings variables to a debugger.
DEBUG ?= -g1
VARIANT ?= $(if $(SANITIZE),sanitize,release)

comma := ,
WARNINGS := -Wall -Wextra -Werror
COMMON := -std=c++20 -march=x86-64-v2 -pthread $(WARNINGS) -Isrc -I. -fno-strict-aliasing
LIBS := -luv -llz4 -lssl -lcrypto -lxxhash -l:liblua5.1-cjson.a -l:liblua5.1.a -llzf -pthread -ldl

ifeq ($(VARIANT),release)
  OUT := build
  OBJ := build/release
  CXXFLAGS := $(COMMON) $(DEBUG) -O3 -flto=auto -fno-plt -DNDEBUG
  LDFLAGS := -O3 -flto=$(JOBS) -fuse-linker-plugin
  ALLOCATOR := -ljemalloc
else ifeq ($(VARIANT),dev)
  OUT := build/dev
  OBJ := build/dev
  CXXFLAGS := $(COMMON) $(DEBUG) -O1
  LDFLAGS := -fuse-ld=mold
  ALLOCATOR := -ljemalloc
else ifneq ($(filter pgo-train pgo,$(VARIANT)),)
  # `make pgo`: what is off the hot path is compiled as the release, so a cache has it.
  OUT := build/$(VARIANT)
  OBJ := build/$(VARIANT)
  CXXFLAGS := $(COMMON) $(DEBUG) -O3 -flto=auto -fno-plt -DNDEBUG
  LDFLAGS := -O3 -flto=$(JOBS) -fuse-linker-plugin
  ifeq ($(VARIANT),pgo-train)
    HOT_FLAGS = -g0 -fno-lto -fprofile-generate -fprofile-update=prefer-atomic
    PROFILER := -lgcov
  else
    # The profile lies beside the object; code that the training never reached has none.
    HOT_FLAGS = -fprofile-use -Wno-missing-profile -Wno-error
  endif
  ALLOCATOR := -ljemalloc
else ifeq ($(VARIANT),sanitize)
  OUT := build/$(subst $(comma),-,$(SANITIZE))
  OBJ := $(OUT)
  SLOW_CHECKS := null,alignment,vptr,object-size,pointer-overflow
  # The sanitizers bring their own allocator, so jemalloc stays out.
  # The compiler collects garbage from 600 MB on only, which else is a tenth of its time.
  # "undefined" leaves out the checks that double the time to compile: the address sanitizer sees
  # most of what they would. To have them: SANITIZE=null,alignment,vptr,pointer-overflow
  CXXFLAGS := $(COMMON) $(DEBUG) -O1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -DCAIRN_NO_JEMALLOC \
    $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize=$(SLOW_CHECKS)) \
    -Wno-maybe-uninitialized $(if $(findstring thread,$(SANITIZE)),-Wno-error=tsan) \
    --param ggc-min-heapsize=600000
  LDFLAGS := -fsanitize=$(SANITIZE) -fuse-ld=mold
  ALLOCATOR :=
endif

# main() lives in src/server/main.cc; everything else is shared.
SOURCES := $(filter-out src/server/main.cc,$(wildcard src/*/*.cc))
CHECK_SOURCES := $(wildcard utils/cairn-check/*.cc)
UNIT_SOURCES := $(wildcard tests/unit/*.cc tests/unit/*/*.cc)
OBJECTS := $(SOURCES:%.cc=$(OBJ)/%.o)
UNIT_OBJECTS := $(UNIT_SOURCES:%.cc=$(OBJ)/%.o)
ifeq ($(VARIANT),sanitize)
  # Many files are compiled as one, in a quarter of the time; the release compiles each alone.
  GROUPS := $(shell utils/group_sources.py $(OBJ)/group 4000 $(SOURCES))
  OBJECTS := $(GROUPS:%=$(OBJ)/group/%.o)
  UNIT_GROUPS := $(shell utils/group_sources.py $(OBJ)/unit-group 2000 $(UNIT_SOURCES))
  UNIT_OBJECTS := $(UNIT_GROUPS:%=$(OBJ)/unit-group/%.o)
endif

.PHONY: all server deps run test test-long unit bench pgo format install install-files deb clean
all server: $(OUT)/cairn-server $(OUT)/cairn-check

$(OUT)/cairn-server: $(OBJ)/src/server/main.o $(CHECK_SOURCES:%.cc=$(OBJ)/%.o) $(OBJECTS)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LIBS) $(ALLOCATOR) $(PROFILER)

# The same binary, which looks at the name it is called by.
$(OUT)/cairn-check: $(OUT)/cairn-server
	ln -sf cairn-server $@

# The load generator and the floor of the bench; see utils/bench/README.md.
LOAD_SOURCES := $(wildcard utils/bench/load/*.cc) src/base/random.cc
$(OUT)/cairn-load: $(LOAD_SOURCES:%.cc=$(OBJ)/%.o)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ -pthread
$(OUT)/echo-floor: $(OBJ)/utils/bench/echo_floor.o
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^
# What threads pay for what they share; utils/bench/model.py asks it.
COSTS_SOURCES := utils/bench/model_costs.cc $(wildcard src/base/*.cc src/journal/*.cc)
$(OUT)/model-costs: $(COSTS_SOURCES:%.cc=$(OBJ)/%.o)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LIBS) $(ALLOCATOR)

# Loads mutated files in one process; with the sanitizers, see tests/fuzz/README.md.
FILE_FUZZ := file_fuzz mutated_texts mutation
$(OUT)/file-fuzz: $(FILE_FUZZ:%=$(OBJ)/tests/fuzz/%.o) $(OBJECTS)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LIBS) $(ALLOCATOR)

# The standard headers are compiled once a variant: -include finds the .gch beside the file named.
# `make pgo` goes without, as some of its objects have flags of their own. ccache knows a .gch by its
# .sum, so that one checkout's objects serve another.
export CCACHE_SLOPPINESS := pch_defines,time_macros
export CCACHE_PCH_EXTSUM := 1
STANDARD := algorithm array atomic bit cmath cstdint cstring deque functional map memory mutex \
  optional span string string_view unordered_map utility vector
STD := $(OBJ)/std.hpp
CATCH := $(OBJ)/catch.hpp
# Under the sanitizers the code of tests is not worth the time to optimise it: half of it.
TEST_FLAGS := $(if $(filter sanitize,$(VARIANT)),-O0)
USE_STD := $(if $(filter pgo-train pgo,$(VARIANT)),,-include $(STD))
HOT := $(filter src/base/% src/net/% src/resp/% src/exec/% src/containers/% src/keyspace/% \
  src/types/% src/commands/strings% src/server/client%,$(SOURCES))

$(OBJ)/%.o: %.cc $(if $(USE_STD),$(STD).gch)
	@mkdir -p $(@D)
	$(CCACHE) $(CXX) $(CXXFLAGS) $(if $(filter $(HOT),$<),$(HOT_FLAGS)) $(USE_STD) -MMD -MP \
	  -c -o $@ $<

# What only one file of a group may do (the same name twice), it does in an object of its own. The +
# of the recipes gives that make its share of the jobs.
one_by_one = objects=$$(sed -n 's|^\#include "\(.*\)\.cc"|$(OBJ)/\1.o|p' $<) && \
  $(MAKE) --no-print-directory SANITIZE=$(SANITIZE) $$objects && ld -r -o $@ $$objects && \
  $(CXX) $(CXXFLAGS) -MM -MP -MT $@ -MF $(@:.o=.d) $<
$(OBJ)/group/%.o: $(OBJ)/group/%.cc $(STD).gch
	+$(CCACHE) $(CXX) $(CXXFLAGS) $(USE_STD) -MMD -MP -c -o $@ $< || { $(one_by_one); }
$(OBJ)/unit-group/%.o: $(OBJ)/unit-group/%.cc $(CATCH).gch
	+$(CCACHE) $(CXX) $(CXXFLAGS) $(TEST_FLAGS) -include $(CATCH) -MMD -MP -c -o $@ $< || \
	  { $(one_by_one); }

# Named one by one: a file that only a pattern makes would let the rule of plain objects go first.
$(STD).gch $(CATCH).gch: $(OBJ)/%.hpp.gch: Makefile
	@mkdir -p $(@D)
	printf '#include <%s>\n' $(STANDARD) $(if $(findstring catch,$*),catch2/catch.hpp) > $(@:.gch=)
	# Catch's CHECK gives way to ours; tests use REQUIRE.
	printf '#undef CHECK\n' >> $(@:.gch=)
	$(CXX) $(CXXFLAGS) $(if $(findstring catch,$*),$(TEST_FLAGS)) -x c++-header -o $@ $(@:.gch=)
	(echo "$(CXXFLAGS) $(TEST_FLAGS)"; $(CXX) --version; cat $(@:.gch=)) > $@.sum

# main() is that of Debian's Catch2: to compile it takes as long as ten files of ours.
$(OBJ)/tests/unit/%.o: tests/unit/%.cc $(CATCH).gch
	@mkdir -p $(@D)
	$(CCACHE) $(CXX) $(CXXFLAGS) $(TEST_FLAGS) -include $(CATCH) -MMD -MP -c -o $@ $<
$(OUT)/unit-tests: $(UNIT_OBJECTS) $(OBJECTS) $(OBJ)/utils/cairn-check/repair.o $(OBJ)/utils/cairn-check/loss.o
	$(CXX) $(LDFLAGS) -o $@ $^ -lCatch2WithMain $(LIBS) -lhiredis $(ALLOCATOR)
# Of the unit tests what is worth a run under the thread sanitizer, where the rest would take long
# to compile.
MODEL_SOURCES := tests/unit/support/fault_fs.cc tests/unit/snapshot/model_test.cc
$(OUT)/model-test: $(MODEL_SOURCES:%.cc=$(OBJ)/%.o) $(OBJECTS)
	$(CXX) $(LDFLAGS) -o $@ $^ -lCatch2WithMain $(LIBS) $(ALLOCATOR)
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

# ARGS are those of utils/bench/bench.py, --quick for one; PEERS names other servers.
bench:
	@deps/install.sh packages.txt bench.txt
	@$(MAKE) --no-print-directory -j$(JOBS) server build/cairn-load build/echo-floor
	utils/bench/bench.py $(ARGS)

# build/pgo/cairn-server: trained by the workloads of the bench. Compiles the server twice.
pgo:
	@deps/install.sh
	@$(MAKE) --no-print-directory -j$(JOBS) VARIANT=pgo-train server
	@$(MAKE) --no-print-directory -j$(JOBS) build/cairn-load
	find build/pgo-train -name '*.gcda' -delete
	CAIRN_SERVER=$(CURDIR)/build/pgo-train/cairn-server utils/bench/train.py
	rm -rf build/pgo && mkdir -p build/pgo
	cd build/pgo-train && find src -name '*.gcda' -exec cp --parents -t ../pgo {} +
	@$(MAKE) --no-print-directory -j$(JOBS) VARIANT=pgo server

format:
	clang-format -i $$(git ls-files '*.cc' '*.h')

SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
SERVER_BINARY ?= build/cairn-server
# An existing configuration is left alone.
install: all install-files
install-files:
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin share/cairn share/man/man1 lib/systemd/system) \
	  $(DESTDIR)$(SYSCONFDIR)/cairn $(DESTDIR)$(SYSCONFDIR)/logrotate.d
	install -m 755 $(SERVER_BINARY) $(DESTDIR)$(PREFIX)/bin/cairn-server
	ln -sf cairn-server $(DESTDIR)$(PREFIX)/bin/cairn-check
	install -m 644 conf/cairn.conf $(DESTDIR)$(PREFIX)/share/cairn/cairn.conf
	install -m 644 utils/package/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 utils/package/cairn.logrotate $(DESTDIR)$(SYSCONFDIR)/logrotate.d/cairn
	sed 's|@BIN@|$(PREFIX)/bin|; s|@CONF@|$(SYSCONFDIR)/cairn|' utils/package/cairn-server.service.in \
	  > $(DESTDIR)$(PREFIX)/lib/systemd/system/cairn-server.service
	[ -e $(DESTDIR)$(SYSCONFDIR)/cairn/cairn.conf ] || sed -e 's|^dir .*|dir /var/lib/cairn|' \
	  -e 's|^logfile .*|logfile /var/log/cairn/cairn-server.log|' conf/cairn.conf \
	  > $(DESTDIR)$(SYSCONFDIR)/cairn/cairn.conf

# build/cairn_VERSION_ARCH.deb
deb: all
	utils/package/make_deb.sh $(SERVER_BINARY)

clean:
	rm -rf build

-include $(shell [ -d $(OBJ) ] && find $(OBJ) -name '*.d')
