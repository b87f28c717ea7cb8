namespace Glm.Hub;

/// <summary>How far a download is.</summary>
/// <param name="DoneBytes">Bytes that are here, of all files; less than before where something has to be fetched again.</param>
/// <param name="TotalBytes">Bytes of all files.</param>
/// <param name="ReceivedBytes">Bytes that came over the network, those that came twice counted twice.</param>
/// <param name="DoneFiles">Files that are whole and verified.</param>
/// <param name="TotalFiles">Files in all.</param>
/// <param name="Note">What else there is to say: a file that is checked, a failure that is waited out.</param>
public readonly record struct PullProgress(long DoneBytes, long TotalBytes, long ReceivedBytes, int DoneFiles, int TotalFiles, string? Note);

/// <summary>Counts what arrives over all connections, and reports it one report at a time.</summary>
internal sealed class Tally(IProgress<PullProgress>? progress)
{
    private readonly Lock _gate = new();
    private PullProgress _state;

    public long Received => _state.ReceivedBytes;

    public void Expect(long totalBytes, int totalFiles) => Report(state => state with { TotalBytes = totalBytes, TotalFiles = totalFiles, Note = null });

    public void Arrived(int bytes) => Report(state => state with { DoneBytes = state.DoneBytes + bytes, ReceivedBytes = state.ReceivedBytes + bytes, Note = null });

    /// <summary>Bytes that are here from before, or were here and are not any more.</summary>
    public void Found(long bytes) => Report(state => state with { DoneBytes = state.DoneBytes + bytes });

    public void Verified() => Report(state => state with { DoneFiles = state.DoneFiles + 1, Note = null });

    public void Note(string note) => Report(state => state with { Note = note });

    private void Report(Func<PullProgress, PullProgress> change)
    {
        lock (_gate)
        {
            _state = change(_state);
            progress?.Report(_state);
        }
    }
}
