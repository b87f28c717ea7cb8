using System.Threading.Channels;

namespace Glm.Server;

/// <summary>The texts of one request, which are generated side by side.</summary>
internal sealed class Choices : IAsyncDisposable
{
    private readonly List<TextStream> _streams = [];

    /// <summary>Begins so many texts; if one cannot begin, none does.</summary>
    public static async Task<Choices> StartAsync(int count, Func<int, TextStream> start)
    {
        var choices = new Choices();
        try
        {
            for (int i = 0; i < count; i++) choices._streams.Add(start(i));
            return choices;
        }
        catch
        {
            await choices.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The texts when all are whole.</summary>
    /// <exception cref="ApiException">The time was over before.</exception>
    public async Task<TextResult[]> ResultsAsync()
    {
        var results = await Task.WhenAll(_streams.Select(stream => stream.Result)).ConfigureAwait(false);
        foreach (var result in results) RequireTime(result);
        return results;
    }

    /// <summary>The pieces of all texts as they come, and of each its result at last.</summary>
    public async IAsyncEnumerable<(int Index, TextPiece? Piece, TextResult? Result)> PiecesAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        var merged = Channel.CreateBounded<(int, TextPiece?, TextResult?)>(64);
        var pumps = Task.WhenAll(_streams.Select((stream, i) => PumpAsync(stream, i, merged.Writer, cancellation)));
        _ = pumps.ContinueWith(done => merged.Writer.TryComplete(done.Exception?.InnerException), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        await foreach (var item in merged.Reader.ReadAllAsync(cancellation).ConfigureAwait(false)) yield return item;
    }

    private static async Task PumpAsync(TextStream stream, int index, ChannelWriter<(int, TextPiece?, TextResult?)> target, CancellationToken cancellation)
    {
        await foreach (var piece in stream.WithCancellation(cancellation).ConfigureAwait(false)) await target.WriteAsync((index, piece, null), cancellation).ConfigureAwait(false);
        var result = await stream.Result.ConfigureAwait(false);
        RequireTime(result);
        await target.WriteAsync((index, null, result), cancellation).ConfigureAwait(false);
    }

    private static void RequireTime(TextResult result)
    {
        if (result.Finish == Inference.FinishReason.Timeout) throw new ApiException(504, "server_error", "the time for this request is over", null, "timeout");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var stream in _streams) await stream.DisposeAsync().ConfigureAwait(false);
    }
}
