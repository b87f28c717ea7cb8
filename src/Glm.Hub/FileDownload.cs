using System.Buffers;
using System.Net;

namespace Glm.Hub;

/// <summary>
/// Fetches one file: its ranges side by side, each resumed where it broke; in one piece from a hub that does not serve ranges. What has arrived must hash to
/// what the hub lists; if it does not, it is fetched once more.
/// </summary>
internal sealed class FileDownload(HubConnection hub, HubOptions options, SemaphoreSlim connections, Tally tally)
{
    private const int BufferBytes = 256 << 10;

    private readonly Retries _retries = new(options, tally.Note);

    /// <param name="address">Where the file is.</param>
    /// <param name="file">What it is.</param>
    /// <param name="path">The part file, which may be there from before.</param>
    /// <param name="target">The name that the file gets once it is whole and verified.</param>
    /// <param name="cancellation">Gives up; what is there stays and can be gone on with.</param>
    /// <exception cref="GlmException">It cannot be fetched, or is not what the hub lists.</exception>
    public async Task RunAsync(Uri address, HubFile file, string path, string target, CancellationToken cancellation)
    {
        for (bool inOnePiece = false, again = false; ;)
        {
            using var part = new PartFile(path, file, inOnePiece ? Math.Max(file.Size, 1) : options.RangeBytes, tally);
            try
            {
                var parallel = new ParallelOptions { MaxDegreeOfParallelism = options.Connections, CancellationToken = cancellation };
                await Parallel.ForEachAsync(part.UnfinishedRanges.ToList(), parallel, async (range, token) => await FetchAsync(address, part, range, inOnePiece, token).ConfigureAwait(false)).ConfigureAwait(false);
            }
            catch (RangesRefusedException) when (!inOnePiece)
            {
                part.Discard();
                inOnePiece = true;
                continue;
            }
            tally.Note($"checking {file.Path.Shown()}");
            string found = part.Hash(cancellation);
            if (found == file.Hash.Hex)
            {
                part.MoveTo(target);
                tally.Verified();
                return;
            }
            part.Discard();
            if (again) throw new GlmException($"{file.Path.Shown()}: expected the {file.Hash.Algorithm} {file.Hash.Hex}, found {found}, twice: the hub's file is damaged or has just changed");
            again = true;
        }
    }

    /// <summary>Fetches a range, over as many connections as it takes while they bring something, and a bounded number that do not.</summary>
    private async Task FetchAsync(Uri address, PartFile part, int range, bool inOnePiece, CancellationToken cancellation)
    {
        await connections.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            while (part.Missing(range) > 0)
            {
                long before = part.Done(range);
                await _retries.RunAsync(async token =>
                {
                    try
                    {
                        await ReceiveAsync(address, part, range, inOnePiece, token).ConfigureAwait(false);
                    }
                    catch (TransientException) when (!inOnePiece && part.Done(range) - before >= options.RenewingBytes) { }
                    return true;
                }, cancellation).ConfigureAwait(false);
            }
        }
        finally
        {
            connections.Release();
        }
    }

    /// <summary>One request for what a range lacks.</summary>
    private async Task ReceiveAsync(Uri address, PartFile part, int range, bool inOnePiece, CancellationToken cancellation)
    {
        if (inOnePiece) part.Restart(range);
        var span = part.Span(range);
        (long, long)? asked = part.RangeCount > 1 || span.First > 0 ? span : null;
        string what = part.File.Path.Shown();
        using var response = await hub.GetAsync(address, what, asked, cancellation).ConfigureAwait(false);
        if (asked is not null && response.Status is HttpStatusCode.OK or HttpStatusCode.RequestedRangeNotSatisfiable) throw new RangesRefusedException();
        response.Expect(asked, part.File.Size);
        long expected = part.Missing(range);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            // One byte more than is missing is asked for at the end, so that a hub that sends too much is noticed before its content is taken for the file.
            for (long missing; (missing = part.Missing(range)) >= 0;)
            {
                int read = await response.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, missing + 1))).ConfigureAwait(false);
                if (read > missing)
                {
                    part.Restart(range);
                    throw new TransientException($"{what}: expected {expected} bytes, found more");
                }
                if (read == 0 && missing > 0) throw new TransientException($"{what}: expected {expected} bytes, found {expected - missing}");
                if (read == 0) return;
                part.Append(range, buffer.AsSpan(0, read));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
