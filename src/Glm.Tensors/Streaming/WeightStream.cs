using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>
/// Weights that are larger than memory: they stay in their file, and pass through a ring of buffers in pieces, ahead of the computation, each time that they
/// are multiplied. Which weight follows which is learned from their use, so the reading goes on from the last weight of a pass to the first of the next.
/// </summary>
/// <remarks>
/// Threads that read ask the disk, not the processor. Products take pieces in order; whatever was not foreseen begins the reading anew. Several sessions may
/// share a stream, but they make each other read twice.
/// </remarks>
public sealed unsafe class WeightStream : IDisposable
{
    /// <summary>Bytes of a piece: large for the disk's sake, small beside the ring.</summary>
    private const int PieceBytes = 8 << 20;

    private const int Readers = 2, LeastSlots = Readers + 2;

    private readonly object _gate = new();
    private readonly Dictionary<string, DirectFile> _files = [];
    private readonly long _bufferBytes;
    private readonly int _pieceBytes;
    private readonly List<StreamedWeight> _weights = [];
    private readonly Thread[] _readers = new Thread[Readers];
    private Slot[] _slots = [];
    private int _slotBytes;
    private (StreamedWeight Weight, int Piece)? _next;
    private StreamedWeight? _last;
    private bool _disposed;

    /// <summary>A stream without weights.</summary>
    /// <param name="bufferBytes">Memory of the ring; a few pieces at least are taken.</param>
    public WeightStream(long bufferBytes) : this(bufferBytes, PieceBytes) { }

    /// <summary>A stream of smaller pieces, for tests.</summary>
    internal WeightStream(long bufferBytes, int pieceBytes) => (_bufferBytes, _pieceBytes) = (bufferBytes, pieceBytes);

    private enum State { Free, Reading, Stale, Ready, InUse, Failed }

    /// <summary>Memory that the ring takes, once weights are used.</summary>
    public long BufferBytes => SlotCount * (long)_slotBytes;

    /// <summary>Bytes read so far.</summary>
    public long BytesRead { get; private set; }

    /// <summary>Whether all files are read past the system's cache.</summary>
    public bool IsDirect
    {
        get
        {
            lock (_gate) return _files.Values.All(file => file.IsDirect);
        }
    }

    private int SlotCount => _slotBytes == 0 ? 0 : (int)Math.Clamp(_bufferBytes / _slotBytes, LeastSlots, 1 << 16);

    /// <summary>A weight that lies in a mapped file and is packed or of floating-point numbers, to be read from there whenever it is multiplied; single rows are still looked up where they are mapped.</summary>
    /// <exception cref="ArgumentException">The weight lies elsewhere, or is of another kind.</exception>
    /// <exception cref="GlmException">The file cannot be read.</exception>
    public Tensor Attach(Tensor weight)
    {
        if (weight.MappedFile is not var (path, offset) || weight.Shape.Length != 2 || weight.Count == 0 || (!weight.IsPacked && !weight.Type.IsFloat()))
            throw new ArgumentException($"{weight} is not a matrix in a file that can be read in pieces", nameof(weight));
        lock (_gate)
        {
            if (_slots.Length > 0) throw new InvalidOperationException("weights are attached before the first is used");
            var file = FileOf(path);
            var (unitBytes, units) = weight.Panels is { } panels ? ((long)panels.PanelBytes, panels.Panels) : (weight.Type.Bytes(weight.Columns), weight.Rows);
            var streamed = new StreamedWeight(this, file, offset, unitBytes, units, _pieceBytes);
            _slotBytes = Math.Max(_slotBytes, streamed.PieceBytes + 2 * DirectFile.Alignment);
            _weights.Add(streamed);
            return weight.WithStream(streamed);
        }
    }

    /// <summary>A copy of a weight in a mapped file that stays in memory, read past the system's cache.</summary>
    /// <exception cref="ArgumentException">The weight lies elsewhere.</exception>
    /// <exception cref="GlmException">The file cannot be read.</exception>
    public Tensor Keep(Tensor weight)
    {
        if (weight.MappedFile is not var (path, offset)) throw new ArgumentException($"{weight} is not in a file", nameof(weight));
        var copy = weight.LikeInMemory();
        byte* buffer = (byte*)NativeMemory.AlignedAlloc(PieceBytes, DirectFile.Alignment);
        try
        {
            lock (_gate)
                for (long done = 0; done < weight.Bytes;)
                {
                    int start = (int)((offset + done) % DirectFile.Alignment), bytes = (int)Math.Min(PieceBytes - start, weight.Bytes - done);
                    FileOf(path).Read(offset + done - start, buffer, PieceBytes, start + bytes);
                    copy.CopyBytesFrom(new ReadOnlySpan<byte>(buffer + start, bytes), done);
                    done += bytes;
                }
        }
        finally
        {
            NativeMemory.AlignedFree(buffer);
        }
        return copy;
    }

    /// <summary>10^9 bytes per second that the stream reads when nothing is computed: all its weights in the order in which they were attached, for about this long.</summary>
    /// <exception cref="GlmException">A weight cannot be read.</exception>
    public double MeasureRate(TimeSpan time)
    {
        long start = Stopwatch.GetTimestamp();
        long before = BytesRead;
        while (Stopwatch.GetElapsedTime(start) < time)
            foreach (var weight in _weights)
                for (int piece = 0; piece < weight.Pieces && Stopwatch.GetElapsedTime(start) < time; piece++)
                {
                    Acquire(weight, piece);
                    Release(weight, piece);
                }
        return (BytesRead - before) / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9;
    }

    /// <summary>Stops reading; the weights cannot be multiplied any more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
            Monitor.PulseAll(_gate);
        }
        if (_slots.Length > 0)
            foreach (var reader in _readers) reader.Join();
        foreach (var slot in _slots) NativeMemory.AlignedFree(slot.Memory);
        foreach (var file in _files.Values) file.Dispose();
    }

    /// <summary>Waits for a piece; its bytes stay until <see cref="Release"/>.</summary>
    /// <exception cref="GlmException">It cannot be read.</exception>
    internal byte* Acquire(StreamedWeight weight, int piece)
    {
        lock (_gate)
        {
            Start();
            if (piece == 0)
            {
                if (_last is not null) _last.Successor = weight;
                _last = weight;
            }
            while (true)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                switch (Find(weight, piece))
                {
                    case { State: State.Ready } slot:
                        slot.State = State.InUse;
                        return slot.Memory + slot.Start;
                    case { State: State.Failed } slot:
                        slot.State = State.Free;
                        throw new GlmException(slot.Error!.Message, slot.Error);
                    case null when _next is not var (nextWeight, nextPiece) || nextWeight != weight || nextPiece != piece:
                        Forget();
                        _next = (weight, piece);
                        Monitor.PulseAll(_gate);
                        break;
                }
                Monitor.Wait(_gate);
            }
        }
    }

    /// <summary>Gives the memory of a piece back.</summary>
    internal void Release(StreamedWeight weight, int piece)
    {
        lock (_gate)
        {
            foreach (var slot in _slots)
                if (slot.State == State.InUse && slot.Weight == weight && slot.Piece == piece) slot.State = State.Free;
            Monitor.PulseAll(_gate);
        }
    }

    private DirectFile FileOf(string path)
    {
        if (!_files.TryGetValue(path, out var file)) _files.Add(path, file = DirectFile.Open(path));
        return file;
    }

    private void Start()
    {
        if (_slots.Length > 0) return;
        _slots = [.. Enumerable.Range(0, SlotCount).Select(_ => new Slot((byte*)NativeMemory.AlignedAlloc((nuint)_slotBytes, DirectFile.Alignment)))];
        for (int i = 0; i < Readers; i++)
        {
            _readers[i] = new Thread(ReadAhead) { IsBackground = true, Name = $"glm reader {i + 1}" };
            _readers[i].Start();
        }
    }

    private Slot? Find(StreamedWeight weight, int piece)
    {
        foreach (var slot in _slots)
            if (slot.Weight == weight && slot.Piece == piece && slot.State is State.Reading or State.Ready or State.Failed) return slot;
        return null;
    }

    private Slot? FindFree()
    {
        foreach (var slot in _slots)
            if (slot.State == State.Free) return slot;
        return null;
    }

    /// <summary>What was read, or is being read, will not be needed.</summary>
    private void Forget()
    {
        foreach (var slot in _slots)
        {
            if (slot.State == State.Reading) slot.State = State.Stale;
            else if (slot.State is State.Ready or State.Failed) slot.State = State.Free;
        }
    }

    private void ReadAhead()
    {
        while (true)
        {
            Slot slot;
            lock (_gate)
            {
                Slot? free;
                while ((free = _next is null ? null : FindFree()) is null && !_disposed) Monitor.Wait(_gate);
                if (_disposed) return;
                slot = free!;
                var (weight, piece) = _next!.Value;
                (slot.Weight, slot.Piece, slot.State, slot.Error) = (weight, piece, State.Reading, null);
                _next = piece + 1 < weight.Pieces ? (weight, piece + 1) : weight.Successor is { } successor ? (successor, 0) : null;
            }
            slot.Read();
            lock (_gate)
            {
                if (slot.State == State.Stale) slot.State = State.Free;
                else slot.State = slot.Error is null ? State.Ready : State.Failed;
                BytesRead += slot.Bytes;
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>One buffer of the ring.</summary>
    private sealed class Slot(byte* memory)
    {
        public byte* Memory { get; } = memory;

        public State State { get; set; }

        public StreamedWeight? Weight { get; set; }

        public int Piece { get; set; }

        /// <summary>Where the piece begins in the memory: the file is read from the aligned position before it.</summary>
        public int Start { get; private set; }

        public int Bytes { get; private set; }

        public GlmException? Error { get; set; }

        public void Read()
        {
            var (offset, bytes) = Weight!.Place(Piece);
            Start = (int)(offset % DirectFile.Alignment);
            Bytes = (Start + bytes + DirectFile.Alignment - 1) / DirectFile.Alignment * DirectFile.Alignment;
            try
            {
                Weight.File.Read(offset - Start, Memory, Bytes, Start + bytes);
            }
            catch (GlmException error)
            {
                Error = error;
            }
        }
    }
}
