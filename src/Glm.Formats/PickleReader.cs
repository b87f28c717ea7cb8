using System.Buffers.Binary;
using System.Text;

namespace Glm.Formats;

/// <summary>A dict of a pickle: keys and values in their order.</summary>
internal sealed class PickleDictionary
{
    public List<(object? Key, object? Value)> Items { get; } = [];
}

/// <summary>What a pickle may call with arguments.</summary>
internal delegate object? PickleFunction(object?[] arguments);

/// <summary>
/// Reads a pickle of protocol 2, of the opcodes that dicts of tensors need. It is a stack machine that builds null, bool, long, double, string, tuples
/// (<c>object?[]</c>), lists (<c>List&lt;object?&gt;</c>) and <see cref="PickleDictionary"/>. It executes nothing: a name in a pickle becomes what
/// <paramref name="global"/> gives for it, and what that gives no value for is an error.
/// </summary>
/// <remarks>Memory is proportional to the pickle: no opcode copies what is on the stack.</remarks>
/// <param name="path">The file, for messages.</param>
/// <param name="data">The pickle.</param>
/// <param name="global">The value of a name "module.name": a constant or a <see cref="PickleFunction"/>; null if it is not allowed.</param>
/// <param name="persistent">The value of a persistent id.</param>
internal sealed class PickleReader(string path, byte[] data, Func<string, object?> global, Func<object?, object> persistent)
{
    private const int Protocol = 2, LongestName = 256;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = [];
    private readonly Dictionary<uint, object?> _memo = [];
    private int _at;

    /// <summary>The value that the pickle describes.</summary>
    /// <exception cref="GlmException">It is damaged, or needs something else than dicts of tensors need.</exception>
    public object? Read()
    {
        if (Byte() != 0x80 || Byte() is not Protocol) throw Bad($"a pickle of protocol {Protocol}", "another beginning");
        while (true)
        {
            byte opcode = Byte();
            switch ((char)opcode)
            {
                case '.': return _stack.Count == 1 && _marks.Count == 0 ? _stack[0] : throw Bad("one value at the end", $"{_stack.Count}");
                case '(': _marks.Push(_stack.Count); break;
                case 'N': _stack.Add(null); break;
                case '\x88': _stack.Add(true); break;
                case '\x89': _stack.Add(false); break;
                case 'K': _stack.Add((long)Byte()); break;
                case 'M': _stack.Add((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2))); break;
                case 'J': _stack.Add((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4))); break;
                case '\x8a': _stack.Add(Long(Take(Byte()))); break;
                case 'G': _stack.Add(BinaryPrimitives.ReadDoubleBigEndian(Take(8))); break;
                case 'X': _stack.Add(Text(Take(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))))); break;
                case ']': _stack.Add(new List<object?>()); break;
                case '}': _stack.Add(new PickleDictionary()); break;
                case ')': _stack.Add(Array.Empty<object?>()); break;
                case 't': _stack.Add(PopToMark()); break;
                case >= '\x85' and <= '\x87': _stack.Add(PopLast(opcode - 0x84)); break;
                case 'q': _memo[Byte()] = Top<object?>("a value to remember"); break;
                case 'r': _memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Top<object?>("a value to remember"); break;
                case 'h': _stack.Add(Remembered(Byte())); break;
                case 'j': _stack.Add(Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))); break;
                case 'c': _stack.Add(Global()); break;
                case 'Q': _stack.Add(persistent(Pop<object?>("a persistent id"))); break;
                case 'R': Reduce(); break;
                case 'b': Build(); break;
                case 's': SetItems(PopLast(2)); break;
                case 'u': SetItems(PopToMark()); break;
                case 'a': Append(PopLast(1)); break;
                case 'e': Append(PopToMark()); break;
                default: throw Bad("an opcode of a dict of tensors", $"0x{opcode:x2}");
            }
        }
    }

    private object Global()
    {
        string name = $"{Line()}.{Line()}";
        return global(name) ?? throw new GlmException($"{path}: data.pkl: expected tensors, numbers and text alone, found the name {name}, which is not read: nothing in a file is executed");
    }

    private void Reduce()
    {
        var arguments = Pop<object?[]>("a tuple of arguments");
        _stack.Add(Pop<PickleFunction>("a function")(arguments));
    }

    /// <summary>The attributes of an ordered dict, which torch's state dicts have, say nothing of tensors.</summary>
    private void Build()
    {
        Pop<object?>("attributes");
        Top<PickleDictionary>("a dict to give attributes to");
    }

    private void SetItems(object?[] items)
    {
        var target = Top<PickleDictionary>("a dict to add to").Items;
        if (items.Length % 2 != 0) throw Bad("keys and values in pairs", $"{items.Length} values");
        for (int i = 0; i < items.Length; i += 2) target.Add((items[i], items[i + 1]));
    }

    private void Append(object?[] items) => Top<List<object?>>("a list to add to").AddRange(items);

    private object?[] PopToMark() => PopLast(_marks.TryPop(out int mark) ? _stack.Count - mark : throw Bad("a mark", "none"));

    /// <summary>The last values of the stack; none from below the last mark.</summary>
    private object?[] PopLast(int count)
    {
        Require(count, "values on the stack");
        object?[] values = new object?[count];
        _stack.CopyTo(_stack.Count - count, values, 0, count);
        _stack.RemoveRange(_stack.Count - count, count);
        return values;
    }

    private T Pop<T>(string expected)
    {
        T value = Top<T>(expected);
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private T Top<T>(string expected)
    {
        Require(1, expected);
        return _stack[^1] switch
        {
            T value => value,
            null when typeof(T) == typeof(object) => default!,
            var other => throw Bad(expected, other?.GetType().Name ?? "None"),
        };
    }

    private void Require(int count, string expected)
    {
        if (_stack.Count - (_marks.TryPeek(out int mark) ? mark : 0) < count) throw Bad(expected, "too few values");
    }

    private object? Remembered(uint key) => _memo.TryGetValue(key, out object? value) ? value : throw Bad($"a value remembered as {key}", "none");

    private byte Byte() => Take(1)[0];

    private ReadOnlySpan<byte> Take(uint count)
    {
        if (count > data.Length - _at) throw Bad($"{count} bytes", $"{data.Length - _at} before the end");
        _at += (int)count;
        return data.AsSpan(_at - (int)count, (int)count);
    }

    private string Line()
    {
        int length = data.AsSpan(_at, Math.Min(LongestName, data.Length - _at)).IndexOf((byte)'\n');
        if (length < 0) throw Bad($"a name of at most {LongestName} bytes", "no end of it");
        string line = Text(Take((uint)length));
        _at++;
        return line;
    }

    private string Text(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException error)
        {
            throw new GlmException(Bad("UTF-8", "other bytes").Message, error);
        }
    }

    /// <summary>An integer of up to 8 bytes.</summary>
    private long Long(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 8) throw Bad("integers of at most 8 bytes", $"one of {bytes.Length}");
        long value = bytes.Length > 0 && (bytes[^1] & 0x80) != 0 ? -1 : 0;
        for (int i = bytes.Length - 1; i >= 0; i--) value = value << 8 | bytes[i];
        return value;
    }

    private GlmException Bad(string expected, string found) => new($"{path}: data.pkl, byte {_at}: expected {expected}, found {found}");
}
