// The jobs of bench/cancellation_weft.cc in Go: deadlines by a context and a
// read deadline, sleeping goroutines, cancels by a context.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const batch = 4096

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func socketPair() (net.Conn, net.Conn) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	check(err)
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		ends[i], err = net.FileConn(file)
		check(err)
		file.Close()
	}
	return ends[0], ends[1]
}

func cpuNanoseconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func deadlines(count int) {
	// One thread, as weft's one worker.
	runtime.GOMAXPROCS(1)
	reader, writer := socketPair()
	data := make([]byte, batch)
	var one [1]byte
	measure := func(read func()) float64 {
		_, err := writer.Write(data)
		check(err)
		start := cpuNanoseconds()
		for i := 0; i < batch; i++ {
			read()
		}
		return (cpuNanoseconds() - start) / batch
	}
	var plain, scoped, added []float64
	for done := 0; done < count; done += batch {
		without := measure(func() {
			_, err := reader.Read(one[:])
			check(err)
		})
		with := measure(func() {
			ctx, cancel := context.WithTimeout(context.Background(),
				10*time.Second)
			end, _ := ctx.Deadline()
			check(reader.SetReadDeadline(end))
			_, err := reader.Read(one[:])
			check(err)
			cancel()
		})
		check(reader.SetReadDeadline(time.Time{}))
		plain = append(plain, without)
		scoped = append(scoped, with)
		added = append(added, with-without)
	}
	fmt.Printf("{\"job\": \"deadline\", \"read_ns\": %.1f, "+
		"\"scoped_read_ns\": %.1f, \"added_ns\": %.1f}\n",
		median(plain), median(scoped), median(added))
}

// Bytes of memory that this process has now: pages, and the tables that say
// where they are.
func memory() float64 {
	file, err := os.Open("/proc/self/status")
	check(err)
	defer file.Close()
	sum := 0.0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if fields[0] == "VmRSS:" || fields[0] == "VmPTE:" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			check(err)
			sum += kilobytes * 1024
		}
	}
	return sum
}

func sleepers(count int, pause time.Duration) {
	var started, ended int64
	var most, alive float64
	before := memory()
	start := time.Now()
	var all sync.WaitGroup
	all.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			defer all.Done()
			if atomic.AddInt64(&started, 1) == int64(count) {
				alive = float64(int64(count) - atomic.LoadInt64(&ended))
				most = memory()
			}
			time.Sleep(pause)
			atomic.AddInt64(&ended, 1)
		}()
	}
	all.Wait()
	fmt.Printf("{\"job\": \"sleepers\", \"wall_s\": %.4f, "+
		"\"bytes_per_task\": %.0f}\n", time.Since(start).Seconds(),
		(most-before)/alive)
}

// Blocks until the context is done.
func blockers() map[string]func(context.Context) {
	reader, _ := socketPair()
	permits := make(chan struct{})
	return map[string]func(context.Context){
		"cancel-read": func(ctx context.Context) {
			// A read knows no context: somebody has to end it by a deadline
			// that has passed.
			returned := make(chan struct{})
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				select {
				case <-ctx.Done():
					reader.SetReadDeadline(time.Unix(1, 0))
				case <-returned:
				}
			}()
			var one [1]byte
			reader.Read(one[:])
			close(returned)
			<-stopped
			reader.SetReadDeadline(time.Time{})
		},
		"cancel-sleep": func(ctx context.Context) {
			timer := time.NewTimer(time.Hour)
			defer timer.Stop()
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		},
		"cancel-semaphore": func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-permits:
			}
		},
	}
}

func cancels(job string, count int) {
	block := blockers()[job]
	if block == nil {
		check(fmt.Errorf("no such job: %s", job))
	}
	var latency []float64
	for i := 0; i < count; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		cancelled := make(chan time.Time, 1)
		go func() {
			time.Sleep(100 * time.Microsecond)
			now := time.Now()
			cancel()
			cancelled <- now
		}()
		block(ctx)
		returned := time.Now()
		span := returned.Sub(<-cancelled)
		latency = append(latency, float64(span.Nanoseconds())/1e3)
	}
	sort.Float64s(latency)
	fmt.Printf("{\"job\": \"%s\", \"p50_us\": %.1f, \"p99_us\": %.1f, "+
		"\"max_us\": %.1f}\n", job, latency[count/2],
		latency[count-1-count/100], latency[count-1])
}

func main() {
	job := flag.String("job", "", "what to do")
	count := flag.Int("count", 1000, "how often")
	seconds := flag.Int("seconds", 1, "how long sleepers sleep")
	flag.Parse()
	switch *job {
	case "deadline":
		deadlines(*count)
	case "sleepers":
		sleepers(*count, time.Duration(*seconds)*time.Second)
	default:
		cancels(*job, *count)
	}
}
