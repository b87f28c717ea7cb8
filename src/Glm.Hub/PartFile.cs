using System.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace Glm.Hub;

/// <summary>
/// A file on its way: of its full length from the start, filled by range. The state beside it is saved now and then and when it is closed; it may know less
/// than is there. Should it know more, as after a failure of the power, the hash finds out.
/// </summary>
internal sealed class PartFile : IDisposable
{
    private static readonly TimeSpan SaveInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly string _path;
    private readonly SafeFileHandle _handle;
    private readonly Tally _tally;
    private readonly PartState _state;
    private long _saved = Stopwatch.GetTimestamp();
    private bool _settled;

    /// <summary>Goes on with what is at <paramref name="path"/> if it is of the same content, or begins anew.</summary>
    public PartFile(string path, HubFile file, long rangeBytes, Tally tally)
    {
        (_path, File, _tally) = (path, file, tally);
        var known = PartState.Load(path, file, rangeBytes);
        _state = known ?? new PartState(file.Path, file.Hash.Hex, file.Size, rangeBytes, new long[PartState.RangeCount(file.Size, rangeBytes)]);
        _handle = System.IO.File.OpenHandle(path, known is null ? FileMode.Create : FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        if (known is null) RandomAccess.SetLength(_handle, file.Size);
    }

    public HubFile File { get; }

    public int RangeCount => _state.Done.Length;

    public IEnumerable<int> UnfinishedRanges => Enumerable.Range(0, RangeCount).Where(range => Missing(range) > 0);

    /// <summary>Bytes of a range that are there, from its beginning on.</summary>
    public long Done(int range) => _state.Done[range];

    public long Missing(int range) => PartState.LengthOf(range, File.Size, _state.RangeBytes) - Done(range);

    /// <summary>First and last of the missing bytes of a range.</summary>
    public (long First, long Last) Span(int range)
    {
        long first = range * _state.RangeBytes + Done(range);
        return (first, first + Missing(range) - 1);
    }

    /// <summary>Adds the next bytes of a range.</summary>
    public void Append(int range, ReadOnlySpan<byte> bytes)
    {
        RandomAccess.Write(_handle, bytes, Span(range).First);
        lock (_gate)
        {
            _state.Done[range] += bytes.Length;
            if (Stopwatch.GetElapsedTime(_saved) > SaveInterval) Save();
        }
        _tally.Arrived(bytes.Length);
    }

    /// <summary>Begins a range anew.</summary>
    public void Restart(int range)
    {
        long lost;
        lock (_gate) (lost, _state.Done[range]) = (_state.Done[range], 0);
        _tally.Found(-lost);
    }

    /// <summary>The hash of what is there.</summary>
    public string Hash(CancellationToken cancellation) => File.Hash.Of(_handle, cancellation);

    /// <summary>Gives the file its name: it is on the disk by then.</summary>
    public void MoveTo(string target)
    {
        RandomAccess.FlushToDisk(_handle);
        _handle.Dispose();
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        System.IO.File.Move(_path, target, overwrite: true);
        System.IO.File.Delete(PartState.FileOf(_path));
        _settled = true;
    }

    /// <summary>Throws away what is there.</summary>
    public void Discard()
    {
        _handle.Dispose();
        System.IO.File.Delete(PartState.FileOf(_path));
        System.IO.File.Delete(_path);
        _tally.Found(-_state.Done.Sum());
        _settled = true;
    }

    private void Save()
    {
        _state.Save(_path);
        _saved = Stopwatch.GetTimestamp();
    }

    public void Dispose()
    {
        _handle.Dispose();
        if (!_settled) Save();
    }
}
