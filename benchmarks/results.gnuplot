# SPDX-License-Identifier: BSD-3-Clause
# results.svg, from the files report.py writes: directory, picture and machine are given.
set terminal svg size 1200,420 font "sans,13" background "white"
set output picture
set datafile missing "NaN"
set multiplot layout 1,3 title machine font ",12"
set grid ytics
set style data linespoints
set key top right

ring = directory . "/ring"
memif = directory . "/memif"
linux = directory . "/linux"
latency = directory . "/latency"
rows(file) = int(system("wc -l <" . file))

set title "Requests of 64 bytes, one server core"
set logscale x
set format x "10^{%T}"
set xlabel "connections"
set ylabel "million/s"
set yrange [0:*]
set offsets 0, 0, graph 0.25, 0
plot rows(ring) > 0 ? ring : "/dev/null" using 1:2 title "leat, net\\_ring" lw 2 lc 1 pt 7, \
     rows(memif) > 0 ? memif : "/dev/null" using 1:2 title "leat-http, net\\_memif" lw 2 lc 2 pt 7, \
     rows(linux) > 0 ? linux : "/dev/null" using 1:2 title "Linux, veth" lw 2 lc 3 pt 7

set title "What a request costs the server"
set ylabel "cycles"
set logscale y
set yrange [*:*]
plot ring using 1:3 title "leat, net\\_ring" lw 2 lc 1 pt 7, \
     ring using 1:4 title "net\\_ring alone" lw 1 dt 2 lc 1 pt 6, \
     linux using 1:3 title "Linux, veth" lw 2 lc 3 pt 7

set title "Round trip, p50, p99 and p99.9"
unset logscale x
set xlabel
set ylabel "microseconds"
set format x
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9
set xtics scale 0
plot latency using 2:xtic(1) title "leat" lc rgb "#c9b8e8", "" using 3 title "" lc rgb "#9a78d0", \
     "" using 4 title "" lc rgb "#6a3fb0", \
     "" using 5 title "Linux" lc rgb "#b8dcec", "" using 6 title "" lc rgb "#78b4d0", \
     "" using 7 title "" lc rgb "#3f86b0"
unset multiplot
