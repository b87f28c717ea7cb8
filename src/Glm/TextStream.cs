using System.Threading.Channels;
using Glm.Inference;
using Glm.Tokenizers;

namespace Glm;

/// <summary>A piece of a text as it is generated.</summary>
/// <param name="Text">Whole characters; may be empty.</param>
/// <param name="Tokens">The tokens since the last piece, where their probabilities were asked for.</param>
public sealed record TextPiece(string Text, IReadOnlyList<TextToken> Tokens);

/// <summary>A token of a text.</summary>
/// <param name="Id">The token.</param>
/// <param name="Bytes">What it adds to the text, in UTF-8.</param>
/// <param name="LogProbability">Natural logarithm of its probability; not a number of the first token there is.</param>
/// <param name="Top">The most probable tokens in its place.</param>
/// <param name="IsPrompt">Whether it was given, not generated.</param>
public sealed record TextToken(int Id, byte[] Bytes, float LogProbability, IReadOnlyList<TextToken> Top, bool IsPrompt = false)
{
    /// <summary>Its text; bytes that are no whole character are U+FFFD.</summary>
    public string Text => System.Text.Encoding.UTF8.GetString(Bytes);
}

/// <summary>A text that was generated.</summary>
/// <param name="Text">The text.</param>
/// <param name="Ids">Its tokens, as they were generated.</param>
/// <param name="Finish">Why it ended.</param>
/// <param name="Tokens">The tokens, those of the prompt included, where their probabilities were asked for.</param>
/// <param name="Messages">Of an answer in a chat, the messages that it is: usually one, which may call a tool (<see cref="ToolCall.Of"/>).</param>
/// <param name="Generation">Counts and times.</param>
public sealed record TextResult(
    string Text, int[] Ids, FinishReason Finish, IReadOnlyList<TextToken> Tokens, IReadOnlyList<ChatMessage> Messages, GenerationResult Generation);

/// <summary>A text while it is generated: its pieces in order, once, and the result. Disposing it, or leaving its enumeration, ends the generation.</summary>
public sealed class TextStream : IAsyncEnumerable<TextPiece>, IAsyncDisposable
{
    private readonly Channel<TextPiece> _pieces = Channel.CreateUnbounded<TextPiece>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly CancellationTokenSource _gone;
    private readonly StreamedText _text;
    private readonly Tokenizer _tokenizer;
    private readonly int _hidden;
    private readonly List<TextToken> _tokens = [];
    private int _promptTokens;

    /// <param name="text">What the tokens become.</param>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="hidden">Tokens at the beginning of the context that are not part of the prompt.</param>
    /// <param name="start">Begins the generation; the tokens come to the function.</param>
    /// <param name="cancellation">Ends it.</param>
    internal TextStream(StreamedText text, Tokenizer tokenizer, int hidden, Func<Func<GeneratedToken, bool>, CancellationToken, Task<GenerationResult>> start, CancellationToken cancellation)
    {
        _text = text;
        _tokenizer = tokenizer;
        _hidden = hidden;
        _gone = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            Result = FinishAsync(start(OnToken, _gone.Token));
        }
        catch
        {
            _gone.Dispose();
            throw;
        }
    }

    /// <summary>The whole text; may be awaited with or without reading the pieces.</summary>
    public Task<TextResult> Result { get; }

    /// <inheritdoc/>
    public async IAsyncEnumerator<TextPiece> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        try
        {
            await foreach (var piece in _pieces.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false)) yield return piece;
            await ((Task)Result).ConfigureAwait(false);
        }
        finally
        {
            await DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!Result.IsCompleted) await _gone.CancelAsync().ConfigureAwait(false);
        await ((Task)Result).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        _gone.Dispose();
    }

    /// <summary>On the engine's thread.</summary>
    private bool OnToken(GeneratedToken token)
    {
        TextToken[] told = float.IsNaN(token.LogProbability) && !token.IsContext ? [] : [Told(token)];
        if (token.IsContext)
        {
            if (_promptTokens++ < _hidden) return true;
            _tokens.AddRange(told);
            _pieces.Writer.TryWrite(new TextPiece("", told));
            return true;
        }
        string piece = _text.Add(token.Id);
        _tokens.AddRange(told);
        if (piece.Length > 0 || told.Length > 0) _pieces.Writer.TryWrite(new TextPiece(piece, told));
        return !_text.Stopped;
    }

    private async Task<TextResult> FinishAsync(Task<GenerationResult> generation)
    {
        try
        {
            var result = await generation.ConfigureAwait(false);
            string rest = _text.Finish();
            if (rest.Length > 0) _pieces.Writer.TryWrite(new TextPiece(rest, []));
            return new TextResult(_text.Text, result.Ids, result.Finish, _tokens, _text.Messages(result.Ids), result);
        }
        finally
        {
            // The pieces end here; how it ended is the result's to say.
            _pieces.Writer.TryComplete();
        }
    }

    private TextToken Told(GeneratedToken token) =>
        new(token.Id, BytesOf(token.Id), token.LogProbability, [.. token.Top.Select(top => new TextToken(top.Id, BytesOf(top.Id), top.LogProbability, []))], token.IsContext);

    private byte[] BytesOf(int id) => id < _tokenizer.VocabularySize ? _tokenizer.TokenBytes(id) : [];
}
