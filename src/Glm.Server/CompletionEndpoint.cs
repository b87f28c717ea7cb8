using System.Text.Json;

namespace Glm.Server;

/// <summary><c>POST /v1/completions</c>: texts are continued.</summary>
internal static class CompletionEndpoint
{
    private const int StandardTokens = 16, MaximumPrompts = 64; // the former is OpenAI's

    public static async Task RunAsync(ApiCall call)
    {
        var prompts = Prompts(call);
        if (call.Body.Text("suffix") is { Length: > 0 }) throw ApiException.Invalid("suffix: not supported; /v1/fill fills blanks inside a text", "suffix");
        int count = call.Count(prompts.Count);
        bool echo = call.Body.Flag("echo");
        int? top = call.Top("logprobs");
        var options = call.Text("max_tokens");
        bool nothing = options.MaxTokens == 0; // a text is only scored
        if (nothing && !echo) throw ApiException.Invalid("max_tokens: expected at least 1, unless the prompt is echoed", "max_tokens");
        options = options with
        {
            MaxTokens = nothing ? 1 : options.MaxTokens ?? StandardTokens,
            Temperature = options.Temperature ?? 1,
            TopLogprobs = top,
            PromptLogprobs = echo && top is not null,
        };
        await using var choices = await Choices.StartAsync(prompts.Count * count, i => call.Model.Complete(prompts[i / count], ApiCall.Of(options, i % count), call.Aborted)).ConfigureAwait(false);
        var formats = Enumerable.Range(0, prompts.Count * count).Select(i => new Format(echo ? call.Model.Tokenizer.Decode(prompts[i / count]) : "", nothing, top is not null)).ToArray();
        string id = $"cmpl-{call.Id}";
        CompletionAnswer Answer(IReadOnlyList<CompletionChoice> some, Usage? usage = null) => new(id, "text_completion", call.Created, call.Model.Name, some, usage);

        var (stream, withUsage) = call.Streaming();
        if (!stream)
        {
            var results = await choices.ResultsAsync().ConfigureAwait(false);
            await call.AnswerAsync(Answer([.. results.Select((result, i) => formats[i].Whole(i, result))], call.UsageOf(results, prompts.Count)), ApiJson.Default.CompletionAnswer).ConfigureAwait(false);
            return;
        }
        await call.StreamAsync(async events =>
        {
            var results = new SortedDictionary<int, TextResult>();
            await foreach (var (index, piece, result) in choices.PiecesAsync(call.Aborted).ConfigureAwait(false))
            {
                if (result is not null) results.Add(index, result);
                if (formats[index].Part(index, piece, result) is { } choice) await events.SendAsync(Answer([choice]), ApiJson.Default.CompletionAnswer, call.Aborted).ConfigureAwait(false);
            }
            if (withUsage) await events.SendAsync(Answer([], call.UsageOf(results.Values, prompts.Count)), ApiJson.Default.CompletionAnswer, call.Aborted).ConfigureAwait(false);
        }).ConfigureAwait(false);
    }

    /// <summary>The prompts as ids: a text, ids, or a list of either.</summary>
    private static List<int[]> Prompts(ApiCall call)
    {
        if (call.Body.Find("prompt") is not { } prompt) throw ApiException.Invalid("prompt: expected text, found none", "prompt");
        JsonElement[] parts = prompt.ValueKind == JsonValueKind.Array && prompt.GetArrayLength() > 0 && prompt[0].ValueKind != JsonValueKind.Number ? [.. prompt.EnumerateArray()] : [prompt];
        if (parts.Length > MaximumPrompts) throw ApiException.Invalid($"prompt: expected at most {MaximumPrompts}, found {parts.Length}", "prompt");
        var prompts = new List<int[]>();
        for (int i = 0; i < parts.Length; i++)
        {
            string path = parts.Length == 1 ? "prompt" : $"prompt[{i}]";
            int[] ids = parts[i].ValueKind switch
            {
                JsonValueKind.String => call.Model.Tokenizer.Encode(RequestBody.TextOf(parts[i], path)),
                JsonValueKind.Array => [.. parts[i].EnumerateArray().Select((id, at) => RequestBody.IntegerOf(id, $"{path}[{at}]", 0, call.Model.Tokenizer.VocabularySize - 1))],
                _ => throw RequestBody.Wrong(path, "text or ids of tokens", parts[i]),
            };
            prompts.Add(ids.Length > 0 ? ids : throw ApiException.Invalid($"{path}: expected some text, found none", "prompt"));
        }
        return prompts;
    }

    /// <summary>One choice as it is written: at once, or in parts.</summary>
    private sealed class Format(string echo, bool echoOnly, bool logprobs)
    {
        private int _offset;
        private bool _begun;

        public CompletionChoice Whole(int index, TextResult result) => new(
            echo + (echoOnly ? "" : result.Text), index, logprobs ? Logprobs(result.Tokens) : null, echoOnly ? "length" : ApiCall.Reason(result.Finish));

        public CompletionChoice? Part(int index, TextPiece? piece, TextResult? result)
        {
            string text = _begun ? "" : echo;
            _begun = true;
            if (!echoOnly) text += piece?.Text;
            var told = logprobs && piece is not null ? Logprobs(piece.Tokens) : null;
            return text.Length == 0 && result is null && told is null or { Tokens.Count: 0 } ? null : new CompletionChoice(text, index, told, result is null ? null : echoOnly ? "length" : ApiCall.Reason(result.Finish));
        }

        private CompletionLogprobs Logprobs(IReadOnlyList<TextToken> all)
        {
            TextToken[] tokens = [.. all.Where(token => !echoOnly || token.IsPrompt)];
            var offsets = new List<int>();
            foreach (var token in tokens)
            {
                offsets.Add(_offset);
                _offset += token.Text.Length;
            }
            return new CompletionLogprobs(
                [.. tokens.Select(token => token.Text)], [.. tokens.Select(token => float.IsNaN(token.LogProbability) ? (float?)null : token.LogProbability)],
                [.. tokens.Select(token => token.Top.Count == 0 ? null : token.Top.GroupBy(top => top.Text).ToDictionary(group => group.Key, group => group.First().LogProbability))], offsets);
        }
    }
}
